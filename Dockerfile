# Targets: worker, beat, autoscaler, flower, gateway, cli; redis and nginx with our configuration.
# It has no BuildKit syntax, so that the classic builder can read it. Base images are arguments.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG REDIS_IMAGE=redis:7-bookworm
ARG NGINX_IMAGE=nginx:stable-bookworm

# --- Redis as our user, with our configuration and without a password
FROM ${REDIS_IMAGE} AS redis
COPY deploy/redis /etc/risk-tasks
RUN mkdir -p /var/lib/risk-tasks && chown 10001:10001 /var/lib/risk-tasks
WORKDIR /var/lib/risk-tasks
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["/bin/sh", "/etc/risk-tasks/probe.sh"]
ENTRYPOINT ["redis-server"]
CMD ["/etc/risk-tasks/broker.conf"]

# --- nginx as our user, with our configuration; the only part that callers reach
FROM ${NGINX_IMAGE} AS nginx
COPY deploy/nginx /etc/risk-tasks
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/bin/bash", "/etc/risk-tasks/probe.sh"]
ENTRYPOINT ["/bin/sh", "/etc/risk-tasks/run.sh"]
CMD []

# --- the base of our images, as one layer: without package lists, manuals, pip, and the modules of
# --- Python for building extensions, for teaching and for graphical windows
FROM ${PYTHON_IMAGE} AS trimmed
RUN rm -rf /var/cache/apt/* /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale \
    && cd "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf config-* ensurepip idlelib pydoc_data tkinter turtledemo \
       site-packages/pip site-packages/pip-* \
    && echo 'risk:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'risk:x:10001:' >> /etc/group

FROM scratch AS runtime
COPY --from=trimmed / /
ENV PATH=/opt/risk-tasks/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
USER 10001:10001

# --- dependencies, by their hashes; from the wheels in build/wheels where there are any.
# --- `core` has neither Arrow nor NumPy; `arrays` adds them.
FROM ${PYTHON_IMAGE} AS core
COPY deploy/install.sh deploy/locks/*.lock build/wheels*/*.whl /build/
RUN python3 -m venv --without-pip /opt/risk-tasks && sh /build/install.sh core.lock

FROM core AS flower-dependencies
RUN sh /build/install.sh flower.lock

FROM core AS autoscaler-dependencies
RUN sh /build/install.sh autoscaler.lock

FROM core AS package
COPY pyproject.toml README.md LICENSE /src/
COPY risk_tasks /src/risk_tasks
RUN sh /build/install.sh --package /src

FROM core AS arrays
RUN sh /build/install.sh cli.lock

FROM arrays AS worker-dependencies
RUN sh /build/install.sh worker.lock

FROM arrays AS beat-dependencies
RUN sh /build/install.sh beat.lock

FROM arrays AS gateway-dependencies
RUN sh /build/install.sh gateway.lock

# --- kernels, compiled for one kind of processor: equal bits on every machine of that kind
FROM worker-dependencies AS kernels
ARG NUMBA_CPU_NAME=x86-64-v3
ENV NUMBA_CPU_NAME=${NUMBA_CPU_NAME} NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/opt/kernels
COPY --from=package /added /opt/risk-tasks
RUN /opt/risk-tasks/bin/python -m risk_tasks.kernels

# --- the images
FROM runtime AS cli
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=arrays /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
COPY deploy/forward.py /srv/
ENTRYPOINT ["risk-tasks"]

FROM runtime AS worker
ARG NUMBA_CPU_NAME=x86-64-v3
ENV NUMBA_CPU_NAME=${NUMBA_CPU_NAME} NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/run/risk-tasks/kernels \
    RISK_TASKS_HEARTBEAT_FILE=/run/risk-tasks/heartbeat
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=arrays /added /opt/risk-tasks
COPY --from=worker-dependencies /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
COPY --from=kernels /opt/kernels /opt/kernels
COPY deploy/probe.sh /srv/
COPY workers /srv/workers
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/bin/sh", "/srv/probe.sh"]
ENTRYPOINT ["python", "-m", "workers"]

FROM runtime AS beat
ENV RISK_TASKS_HEARTBEAT_FILE=/run/risk-tasks/heartbeat
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=arrays /added /opt/risk-tasks
COPY --from=beat-dependencies /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
COPY deploy/probe.sh /srv/
COPY beat /srv/beat
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/bin/sh", "/srv/probe.sh"]
ENTRYPOINT ["python", "-m", "beat"]

FROM runtime AS autoscaler
ENV RISK_TASKS_HEARTBEAT_FILE=/run/risk-tasks/heartbeat
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=autoscaler-dependencies /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
COPY deploy/probe.sh /srv/
COPY workers/__init__.py /srv/workers/
COPY workers/autoscaler /srv/workers/autoscaler
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/bin/sh", "/srv/probe.sh"]
ENTRYPOINT ["python", "-m", "workers.autoscaler"]

FROM runtime AS flower
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=flower-dependencies /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-S", "-c", \
    "import os, urllib.request as web; path = os.environ.get('RISK_TASKS_FLOWER_URL_PREFIX', '').strip('/'); web.urlopen('/'.join(filter(None, ['http://127.0.0.1:5555', path, 'healthcheck'])), timeout=3)"]
ENTRYPOINT ["risk-tasks", "flower", "--address", "0.0.0.0", "--port", "5555"]

FROM runtime AS gateway
COPY --from=core /opt/risk-tasks /opt/risk-tasks
COPY --from=arrays /added /opt/risk-tasks
COPY --from=gateway-dependencies /added /opt/risk-tasks
COPY --from=package /added /opt/risk-tasks
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["python", "-S", "-c", \
    "import urllib.request as web; web.urlopen('http://127.0.0.1:8200/readyz', timeout=2)"]
ENTRYPOINT ["risk-tasks", "gateway", "--host", "0.0.0.0", "--port", "8200"]
