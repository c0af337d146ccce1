FROM python:3.11-slim-bookworm
RUN mkdir /srv/site && echo "hello from python" >/srv/site/index.html
WORKDIR /srv/site
CMD ["python3", "-m", "http.server", "8000"]

RUN apt-get update && apt-get install -y --no-install-recommends s6 && rm -rf /var/lib/apt/lists/* && chmod 1777 /run
COPY --from=gossip-agent /opt/gossip /opt/gossip
ENV PATH=/opt/gossip/bin:$PATH GOSSIP_TAGS=role=backend,port=8000 GOSSIP_RETRY_JOIN=gossip GOSSIP_RETRY_INTERVAL=1s
ENTRYPOINT ["init"]
USER 1000
