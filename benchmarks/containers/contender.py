"""The ways to keep HAProxy in step with containers that are compared, each as a pair of images."""

from msgspec import Struct

from tests.containers.engine import Images, Site

DIRECTORY = "benchmarks/containers"


class Contender(Struct, frozen=True):
    """One way: what it is called, and the images of its web server and its balancer."""

    name: str
    web: str
    haproxy: str
    has_agent: bool = True

    def site(self, project: str, images: Images) -> "Site":
        """Return a site of this contender; nothing is started yet."""
        site = Site(project, images, (f"{DIRECTORY}/compose.yaml",))
        site.environment |= {"WEB_IMAGE": self.web, "HAPROXY_IMAGE": self.haproxy}
        return site


def build(images: Images) -> list[Contender]:
    """Build all images; the rivals' are ours with another agent, or with none."""
    images.bootstrap()
    web, haproxy = images.build("web"), images.build("haproxy")
    options = ("--build-arg", f"WEB={web}", "--build-arg", f"HAPROXY={haproxy}")
    file = f"{DIRECTORY}/Dockerfile"
    serf_web, serf_haproxy, dns = (
        images.build(target, *options, file=file, context=DIRECTORY)
        for target in ("web-serf", "haproxy-serf", "haproxy-dns")
    )
    return [
        Contender("gossip", web, haproxy),
        Contender("Serf + scripts", serf_web, serf_haproxy),
        Contender("DNS alone", web, dns, has_agent=False),
    ]
