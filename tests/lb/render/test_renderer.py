import subprocess

import pytest

from gossip.errors import ConfigError
from lb.haproxy.config_text import BLANK_DIGEST, embedded_digest, file_digest
from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.render.renderer import MAX_CARRIED_LINES, MAX_LINE, Frontend, RenderConfig, Renderer

CONFIG = PlanConfig(backends=("web", "api"))
CLAIMS = [
    Claim("web", "web-1", "10.0.0.1", 80, 100),
    Claim("web", "wéb;2", "fd00::1", 8080, 0),
    Claim("api", "api-1", "10.0.0.1", 81, 256),
]
PLAN = make_plan(CLAIMS, CONFIG).plan
HEAD = "setenv LB_DIGEST {{ digest }}\n"


def render(template=None, plan=PLAN, **settings):
    return Renderer(RenderConfig(**settings), template).render(plan)


def lines(rendered):
    return rendered.content.decode().split("\n")


def test_each_server_is_one_line_with_name_address_id_and_weight():
    text = lines(render())
    assert [line for line in text if line.startswith("    server ")] == [
        "    server api-1 10.0.0.1:81 id 2038504307 weight 256 check tcp-ut 2s",
        "    server w-b-2-1e8931cd [fd00::1]:8080 id 512307661 weight 0 check tcp-ut 2s",
        "    server web-1 10.0.0.1:80 id 1148295930 weight 100 check tcp-ut 2s",
    ]


def test_the_same_plan_gives_the_same_bytes():
    shuffled = make_plan(reversed(CLAIMS), CONFIG).plan
    assert render() == render(plan=shuffled)


def test_the_file_ends_in_a_newline():
    assert render().content.endswith(b"check tcp-ut 2s\n")


def test_the_digest_in_the_file_is_that_of_the_file_with_its_digests_blanked():
    rendered = render()
    assert rendered.digest == file_digest(rendered.content) == embedded_digest(rendered.content)
    assert rendered.content.decode().count(rendered.digest) == 2
    assert BLANK_DIGEST.encode() not in rendered.content


def test_a_file_cut_anywhere_does_not_have_its_own_digest():
    content = render().content
    for end in range(len(content)):
        assert embedded_digest(content[:end]) in (None, embedded_digest(content))
        assert embedded_digest(content[:end]) != file_digest(content[:end])


def test_the_backends_digest_is_the_plans_and_does_not_depend_on_the_template():
    ours, theirs = render(), render(HEAD)
    assert ours.backends_digest == theirs.backends_digest == PLAN.digest
    assert f"# backends {PLAN.digest}".encode() in ours.content
    assert ours.digest != theirs.digest


@pytest.mark.parametrize(
    "line",
    [
        "hard-stop-after 5m",
        "close-spread-time 30s",
        "option idle-close-on-response",
        "timeout http-keep-alive 10s",
        "timeout connect 500ms",
        "timeout server 30s",
        "timeout check 300ms",
        "retries 3",
        "option redispatch 1",
        "retry-on conn-failure empty-response response-timeout",
        "http-request disable-l7-retry unless idempotent",
        "default-server inter 500ms fastinter 100ms fall 2 rise 2 observe layer4 error-limit 3 "
        "on-error mark-down",
        "server-state-file /var/lib/gossip-lb/server-state",
        "load-server-state-from-file global",
        "stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners",
        "bind 127.0.0.1:8404",
    ],
)
def test_the_template_ships_every_default(line):
    assert f"    {line}" in lines(render())


def test_the_stats_page_gives_no_admin_rights():
    assert b"stats admin" not in render().content


def test_the_stats_page_can_be_switched_off():
    assert b"frontend stats" not in render(stats_bind=None).content


def test_settings_reach_the_file():
    text = lines(
        render(
            frontends=(Frontend("http", ("*:80", "[::]:80", ":81"), "web"), Frontend("api", (), "api")),
            admin_socket="/tmp/a.sock",
            user="haproxy",
            group="haproxy",
            balance="leastconn",
            timeout_server="1m",
            retry_non_idempotent=True,
        )
    )
    for line in ("bind *:80", "bind [::]:80", "bind :81", "default_backend api", "user haproxy"):
        assert f"    {line}" in text
    assert {"    group haproxy", "    balance leastconn", "    timeout server 1m"} <= set(text)
    assert not any("disable-l7-retry" in line for line in text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stats_bind": "*:8404"}, "stats_bind '*:8404': the page has no password, use 127.0.0.1:PORT"),
        ({"stats_bind": "10.0.0.1:80"}, "stats_bind '10.0.0.1:80': the page has no password"),
        ({"stats_bind": "127.0.0.1"}, "stats_bind '127.0.0.1': the page has no password"),
        ({"stats_bind": "127.0.0.1:0"}, "stats_bind '127.0.0.1:0': the page has no password"),
        ({"admin_socket": "a.sock"}, "admin_socket 'a.sock': use an absolute path of at most 91 letters"),
        ({"admin_socket": "/" + "x" * 91}, "use an absolute path of at most 91 letters"),
        ({"state_file": "/a b"}, "state_file '/a b': use an absolute path"),
        ({"state_file": "/" + "x" * 1000}, "use an absolute path of at most 1000 letters"),
        ({"user": "a b"}, "user 'a b': not a name"),
        ({"group": "$HOME"}, "group '$HOME': not a name"),
        ({"balance": "source"}, "balance 'source': use one of roundrobin, leastconn, first, random"),
        ({"timeout_connect": "5"}, "timeout_connect '5': write it like 500ms, 30s or 5m"),
        ({"hard_stop_after": "0s"}, "hard_stop_after '0s': write it like 500ms, 30s or 5m"),
        ({"frontends": (Frontend("a b"),)}, "frontend 'a b': use 1-63 letters"),
        ({"frontends": (Frontend("stats"),)}, "frontends stats: each needs its own name, and not 'stats'"),
        ({"frontends": (Frontend(), Frontend())}, "frontends http, http: each needs its own name"),
        ({"frontends": (Frontend(binds=("80",)),)}, "bind '80': write it like *:80"),
        ({"frontends": (Frontend(binds=("*:65536",)),)}, "bind '*:65536': write it like *:80"),
        ({"frontends": (Frontend(binds=("1.2.3:80",)),)}, "bind '1.2.3:80': write it like *:80"),
        ({"frontends": (Frontend(binds=("*:80 ssl",)),)}, "bind '*:80 ssl': write it like *:80"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(settings, message):
    with pytest.raises(ConfigError) as caught:
        RenderConfig(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_longest_paths_are_accepted():
    RenderConfig(admin_socket="/" + "x" * 90, state_file="/" + "x" * 999, stats_bind="[::1]:8404")


def test_a_frontend_without_a_backend_is_named():
    with pytest.raises(ConfigError, match="frontend http wants backend 'db': configured are api, web"):
        render(frontends=(Frontend(backend="db"),))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n{% for", "cannot read the template: line 2: "),
        (HEAD + "{{ nothing }}\n", "cannot render the template: 'nothing' is undefined (line 2)"),
        (HEAD + "{{ config.nothing }}\n", "has no attribute 'nothing' (line 2)"),
        (HEAD + "{{ ''.__class__.__mro__ }}\n", "is unsafe. (line 2)"),
        (HEAD + "{{ 1 / 0 }}\n", "division by zero (line 2)"),
        (HEAD + "{{ backends[0].servers[0].member }}\n", "has no attribute 'member' (line 2)"),
        (HEAD + "{% include 'x' %}\n", "cannot render the template: no loader"),
        (HEAD + "{{ 'a b' }}\n", "'a b' may not be printed"),
        (HEAD + "{{ 1.5 }}\n", "1.5 may not be printed"),
        (HEAD + "{{ none }}\n", "None may not be printed"),
        (HEAD + "{{ true }}\n", "True may not be printed"),
        (HEAD + "{{ '' }}\n", "'' may not be printed"),
        (HEAD + "{{ '\\n'|safe }}\n", r"Markup('\n') may not be printed"),
        ("global\n", "it needs exactly one line 'setenv LB_DIGEST {{ digest }}'"),
        (HEAD + HEAD, "it needs exactly one line 'setenv LB_DIGEST {{ digest }}'"),
    ],
)
def test_a_template_that_asks_for_too_much_is_refused_with_its_line(template, message):
    with pytest.raises(ConfigError) as caught:
        render(template)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [*"\"'\\#$ {};%&|<>()`!?^\n\r\t\0", "é", "\udcff", "²", "\u2028"])
def test_no_expression_can_print_a_character_that_haproxy_gives_a_meaning(bad):
    with pytest.raises(ConfigError, match="may not be printed"):
        render(HEAD + "{{ " + ascii("a" + bad) + " }}\n")


def test_the_author_of_a_template_can_vouch_for_text():
    assert b"\nlog stdout format raw\n" in render(HEAD + "{{ 'log stdout format raw'|safe }}\n").content


@pytest.mark.haproxy
@pytest.mark.parametrize("plan", [PLAN, PLAN.emptied()], ids=["with servers", "starter file"])
@pytest.mark.parametrize(
    "settings", [{}, {"stats_bind": None, "retry_non_idempotent": True, "balance": "random"}], ids=str
)
def test_haproxy_accepts_the_file(tmp_path, plan, settings):
    state = tmp_path / "server-state"
    state.write_text("1\n")
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(
        render(
            plan=plan,
            frontends=(Frontend("http", ("127.0.0.1:8080", "[::1]:8080"), "web"),),
            admin_socket="/tmp/only-checked.sock",
            state_file=str(state),
            **settings,
        ).content
    )
    done = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_log_goes_to_standard_output_unless_it_is_told_otherwise():
    assert "    log stdout format raw local0 notice" in lines(render())
    assert "    log /dev/log local0" in lines(render(log="/dev/log local0"))
    assert [line for line in lines(render(log="")) if "log" in line] == []


def test_lines_of_a_person_stand_in_the_first_two_sections():
    text = lines(render(global_lines=("maxconn 9",), defaults_lines=("errorfile 503 /e/503.http",)))
    assert text.index("global") < text.index("    maxconn 9") < text.index("defaults")
    assert text.index("defaults") < text.index("    errorfile 503 /e/503.http") < text.index("frontend http")


@pytest.mark.parametrize("field", ["global_lines", "defaults_lines"])
@pytest.mark.parametrize(
    "line",
    [
        "",
        "# comment",
        "a\nb",
        "x" * (MAX_LINE + 1),
        "frontend f",
        "daemon",
        "master-worker",
        "setenv LB_DIGEST 1",
    ],
)
def test_line_that_would_change_more_than_itself_is_refused(field, line):
    with pytest.raises(ConfigError, match=field):
        RenderConfig(**{field: (line,)})


@pytest.mark.parametrize("excess", [0, 1])
def test_lines_of_a_person_are_bounded(excess):
    lines = ("maxconn " + "9" * (MAX_LINE - 8),) * (MAX_CARRIED_LINES + excess)
    if excess:
        with pytest.raises(ConfigError, match="exceed the limit of 500"):
            RenderConfig(global_lines=lines)
    else:
        RenderConfig(global_lines=lines)


@pytest.mark.parametrize("log", ["a  b", "stdout;", "$X", " x"])
def test_log_that_is_not_plain_words_is_refused(log):
    with pytest.raises(ConfigError, match="write it like"):
        RenderConfig(log=log)
