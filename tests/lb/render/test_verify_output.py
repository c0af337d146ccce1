import pytest

from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.render.renderer import RenderConfig, Renderer
from lb.render.verify_output import MAX_FILE_BYTES, MAX_FINDINGS, inspect

CLAIMS = [
    Claim("web", "web-1", "10.0.0.1", 80, 100),
    Claim("web", "web-2", "fd00::2", 80, 0),
    Claim("api", "api-1", "10.0.0.1", 81, 256),
]
PLAN = make_plan(CLAIMS, PlanConfig(backends=("web", "api"))).plan
RENDERER = Renderer(RenderConfig())
CONTENT = RENDERER.render(PLAN).content
REFERENCE = RENDERER.render(PLAN.emptied()).content
LINE = b"    server web-1 10.0.0.1:80 id 1148295930 weight 100 check tcp-ut 2s\n"


def findings(content, plan=PLAN, reference=REFERENCE):
    return inspect(content, reference, plan)


def edited(old, new):
    assert CONTENT.count(old) == 1
    return findings(CONTENT.replace(old, new))


def test_a_file_as_rendered_may_be_used():
    assert findings(CONTENT) == ()
    assert findings(REFERENCE, PLAN.emptied()) == ()


def test_a_user_template_may_be_used_too():
    template = (
        "global\n\tsetenv LB_DIGEST {{ digest }}\n# grüße\nlisten x\n server web-1 10.9.9.9:1\n"
        "{% for b in backends %}backend {{ b.name }} from y\n server static 10.0.0.9:80 backup\n"
        "{% for s in b.servers %} server {{ s.name }} {{ s.address }} check backup send-proxy-v2 inter 1s\n"
        "{% endfor %}\n{% endfor %}\n"
    )
    renderer = Renderer(RenderConfig(), template)
    content, reference = (renderer.render(plan).content for plan in (PLAN, PLAN.emptied()))
    assert findings(content, reference=reference) == ()


def test_a_missing_final_newline_is_found():
    assert findings(CONTENT[:-1]) == ("last line has no newline: the file is cut or its template is",)
    assert findings(b"") == ("last line has no newline: the file is cut or its template is",)


def test_a_file_cut_at_any_line_is_found():
    ends = [i + 1 for i, byte in enumerate(CONTENT) if byte == 10]
    assert all(findings(CONTENT[:end]) for end in ends[:-1])


def test_a_file_at_the_size_limit_is_read_and_one_byte_more_is_not():
    filler = b"#" * (MAX_FILE_BYTES - len(CONTENT) - 1) + b"\n"
    assert "limit" not in findings(CONTENT + filler)[0]
    assert findings(CONTENT + b"#" + filler) == (
        f"file has {MAX_FILE_BYTES + 1} bytes: the limit is {MAX_FILE_BYTES}",
    )


def test_bytes_that_are_no_text_are_found():
    assert findings(b"a\xff\n") == ("byte 1 is not UTF-8",)


@pytest.mark.parametrize("control", [b"\x00", b"\r", b"\x1b", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8"])
def test_a_control_character_is_found(control):
    found = findings(CONTENT.replace(b"# Written", b"# " + control + b"Written"))
    assert "line 1: control character" in found


@pytest.mark.parametrize(
    "foreign",
    [
        b"listen evil\n    bind *:6666\n",
        b"    server evil 6.6.6.6:80\n",
        b"    stats admin if TRUE\n",
        b"    lua-load /tmp/x.lua\n",
        b"    setenv LB_DIGEST " + b"0" * 64 + b"\n",
        b"    server\n",
        b"    server web-1\n",
        b"backend\n",
        b"\n",
        LINE,
    ],
)
def test_a_foreign_line_is_found_wherever_it_stands(foreign):
    starts = [0, *(i + 1 for i, byte in enumerate(CONTENT) if byte == 10)]
    assert all(findings(CONTENT[:start] + foreign + CONTENT[start:]) for start in starts)


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        (b" server web-1 10.0.0.2:80 check\n", "server web-1 has another address than its member"),
        (b" server web-1 10.0.0.1:80 id 1\n", "server web-1 has id 1 instead of the plan's"),
        (b" server web-1 10.0.0.1:80 weight 101\n", "server web-1 has weight 101 instead of the plan's"),
        (b" server web-1 10.0.0.1:80 ssl\n", "server web-1 has keyword 'ssl' (put it into default-server)"),
        (b" server web-1 10.0.0.1:80 check;\n", "server web-1 has keyword 'check;' (put it into"),
        (b" server web-1 10.0.0.1:80 inter\n", "server web-1 has an unusual value for inter"),
        (b" server web-1 10.0.0.1:80 inter $A\n", "server web-1 has an unusual value for inter"),
        (b" server web-1 10.0.0.1:80 check \\\n", r"server web-1 has keyword '\\' (put it into"),
    ],
)
def test_a_server_line_that_says_more_or_else_is_found(line, finding):
    found = edited(LINE, line)
    assert finding in found[0]
    assert found[-1] == "no server line for web-1 in backend web"


def test_a_missing_server_is_found():
    assert edited(LINE, b"") == ("no server line for web-1 in backend web",)


def test_a_server_of_another_backend_is_found():
    text = CONTENT.replace(LINE, b"").replace(b"backend api\n", b"backend api\n" + LINE)
    assert findings(text)[-1] == "no server line for web-1 in backend web"


def test_a_server_outside_a_backend_is_found():
    text = CONTENT.replace(LINE, b"") + b"listen web\n" + LINE
    assert findings(text)[-1] == "no server line for web-1 in backend web"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"bind *:80", b"bind *:81"),
        (b"backend web\n", b"backend wob\n"),
        (b"level admin", b"level user"),
        (b"stats refresh 5s", b"stats admin if TRUE"),
        (b"# Written", b"# written"),
    ],
)
def test_a_changed_line_is_found_with_both_forms(old, new):
    found = edited(old, new) if CONTENT.count(old) == 1 else findings(CONTENT.replace(old, new, 1))
    assert "depends on members: without any it is" in found[0]


def test_only_the_first_findings_are_returned():
    found = findings(CONTENT + b"\x01\n" * (MAX_FINDINGS + 5))
    assert len(found) == MAX_FINDINGS


def test_a_member_may_not_share_a_name_with_a_server_of_the_template():
    static = CONTENT.replace(b"backend web\n", b"backend web\n    server web-1 10.0.0.9:80\n")
    reference = REFERENCE.replace(b"backend web\n", b"backend web\n    server web-1 10.0.0.9:80\n")
    found = findings(static, reference=reference)
    assert found[0] == "server web-1 of backend web is the template's own: reserve its name"


def test_a_template_may_have_lines_that_only_look_like_a_server():
    odd = b"server\nbackend server\nserver\n\nlisten x\nserver a\n"
    assert inspect(odd, odd, PLAN.emptied()) == ()
