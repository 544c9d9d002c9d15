# An image of a collection of tasks: docs/container.md has the words.
#
#   docker build --build-arg TASKS=my_tasks --tag my-tasks .
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG TASKS=example_tasks

# packages: ucam_faas and its dependencies, pinned by hash, and pip, which installs a collection's.
FROM ${PYTHON_IMAGE} AS packages
# strip; nothing of Debian's package goes into the last stage.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
ENV NETRC=/run/secrets/netrc \
    PIP_CONFIG_FILE=/run/secrets/pip.conf \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY .ci/locks/ locks/
COPY .ci/image/ image/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=netrc \
    pip install --only-binary :all: --require-hashes --requirement locks/build.txt \
    && python -m venv --without-pip /srv/venv \
    && ln -s app/.source /srv/tasks \
    && python image lock image.txt
COPY LICENSE README.md pyproject.toml ./
COPY ucam_faas/ ucam_faas/
RUN pip wheel --no-build-isolation --no-deps --wheel-dir wheels . \
    && python image ours wheels/*.whl

# build: adds a collection, as soon as a Dockerfile begins with FROM this stage.
FROM packages AS build
ONBUILD ARG TASKS
ONBUILD COPY requirements.tx[t] pyproject.tom[l] *.loc[k] pylock.tom[l] beside/
ONBUILD COPY ${TASKS:-.}/requirements.tx[t] ${TASKS:-.}/pyproject.tom[l] ${TASKS:-.}/*.loc[k] \
      ${TASKS:-.}/pylock.tom[l] source/
ONBUILD RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=netrc \
      python image requirements
ONBUILD COPY ${TASKS:-.} /srv/app/${TASKS:-.}/
ONBUILD RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=netrc \
      python image code "${TASKS:-.}"
ONBUILD ARG CHECK=yes
ONBUILD ARG CHECK_ENV
ONBUILD RUN [ "${CHECK}" = no ] || python image check "${CHECK_ENV}"

# run: the production stage. Python, ucam_faas, a user without rights, and no installer.
FROM ${PYTHON_IMAGE} AS run
ENV PATH=/srv/venv/bin:${PATH} \
    FUNCTION_SOURCE=/srv/tasks \
    PYTHONDONTWRITEBYTECODE=1
RUN rm -r /usr/local/bin/pip* \
      "$(python -c 'import ensurepip; print(*ensurepip.__path__)')" \
      "$(python -c 'import pip; print(*pip.__path__)')"* \
    && useradd --uid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tasks \
    && mkdir --parents /srv/app \
    && ln -s app/.source /srv/tasks
# The official image has no bytecode of the standard library, and this one will not write any.
COPY --from=packages /library /
COPY --from=packages /ours /
WORKDIR /srv/app
USER 65532:65532
ENTRYPOINT ["ucam-faas"]
# A collection's image doesn't have this one's labels: docker build --label gives it its own.
ONBUILD ARG TASKS
ONBUILD LABEL org.opencontainers.image.title="${TASKS:-tasks}" \
      org.opencontainers.image.version="" \
      org.opencontainers.image.revision="" \
      org.opencontainers.image.licenses=""

# The four lines that a Dockerfile of yours has, too.
FROM build AS tasks
FROM run
COPY --from=tasks /packages /
COPY --from=tasks /code /
