# How to build and run it: docs/how-to/docker.md.
# BASE needs python3 (3.11 or later) with pip, and libstdc++; both stages have it, so that the environment fits.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# redis, s3, temporal, heic, faces, quality: what settings and URLs may ask for
ARG EXTRAS="redis s3"
# pyvips is never built against a libvips of the base (docs/adr/0003)
ENV PKG_CONFIG=/bin/false PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements requirements
# The environment gets no pip of its own. An index of yours comes in as a secret, which no layer keeps.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    set -eu; \
    python3 -m venv --without-pip /opt/imagemill; \
    set -- -r requirements/image.txt; \
    for extra in $EXTRAS; do set -- "$@" -r "requirements/image-$extra.txt"; done; \
    python3 -m pip --quiet --python /opt/imagemill/bin/python install --require-hashes "$@"; \
    python3 -m pip --quiet install --target tools --require-hashes -r requirements/build.txt
COPY LICENSE README.md pyproject.toml ./
COPY src src
RUN set -eu; \
    PYTHONPATH=/build/tools python3 -m pip --quiet --python /opt/imagemill/bin/python install \
      --no-index --no-deps --no-build-isolation .; \
    mkdir state

FROM ${BASE}
ARG BASE
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="imagemill" \
      org.opencontainers.image.description="Image transcoding service" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC0-1.0 AND Bitstream-Vera" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /opt/imagemill /opt/imagemill
# the one place that is written to, where jobs are on: jobs.data
COPY --from=build --chown=10001:10001 /build/state /var/lib/imagemill
VOLUME /var/lib/imagemill
# The admin port stays on loopback, where the health check asks it; who scrapes metrics opens it.
ENV PATH=/opt/imagemill/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/imagemill \
    XDG_STATE_HOME=/var/lib \
    IMAGEMILL_SERVER__HOST=0.0.0.0
WORKDIR /
# a number, so that Kubernetes can tell that it is not root
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=15s --retries=3 CMD ["python", "-m", "imagemill.health"]
ENTRYPOINT ["imagemill"]
CMD ["serve"]
