FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/* \
 && echo "hello from nginx" >/var/www/html/index.html \
 && echo 'daemon off; pid /run/nginx.pid; error_log stderr; events {} http { access_log off; \
    client_body_temp_path /run/body; proxy_temp_path /run/proxy; fastcgi_temp_path /run/fastcgi; \
    uwsgi_temp_path /run/uwsgi; scgi_temp_path /run/scgi; server { listen 8000; root /var/www/html; } }' >/etc/nginx/nginx.conf
CMD ["nginx"]

RUN apt-get update && apt-get install -y --no-install-recommends s6 python3 && rm -rf /var/lib/apt/lists/* && chmod 1777 /run
COPY --from=gossip-agent /opt/gossip /opt/gossip
ENV PATH=/opt/gossip/bin:$PATH GOSSIP_TAGS=role=backend,port=8000 GOSSIP_RETRY_JOIN=gossip GOSSIP_RETRY_INTERVAL=1s
ENTRYPOINT ["init"]
USER 1000
