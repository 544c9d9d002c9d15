# An image of a collection of tasks: docs/container.md has the words.
#
#   docker build --build-arg TASKS=my_tasks --tag my-tasks .
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG TASKS=example_tasks

# run: the production stage. Python, a user without rights, and no installer.
FROM ${PYTHON_IMAGE} AS run
# The official image has no bytecode of the standard library, and this one will not write any.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x '/(site-packages|ensurepip|idlelib|pydoc_data|tkinter|turtledemo)/' \
      "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -r /usr/local/bin/pip* \
      "$(python -c 'import ensurepip; print(*ensurepip.__path__)')" \
      "$(python -c 'import pip; print(*pip.__path__)')"* \
    && useradd --uid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tasks
ENV PATH=/srv/venv/bin:${PATH} \
    FUNCTION_SOURCE=/srv/tasks \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/app
USER 65532:65532
ENTRYPOINT ["ucam-faas"]

# packages: a virtual environment with ucam_faas and its dependencies, pinned by hash.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY .ci/locks/ locks/
RUN python -m venv --without-pip /srv/venv \
    && pip --python /srv/venv/bin/python install --no-compile --only-binary :all: --require-hashes \
      --requirement locks/image.txt \
    && pip install --only-binary :all: --require-hashes --requirement locks/build.txt
COPY LICENSE README.md pyproject.toml ./
COPY ucam_faas/ ucam_faas/
RUN pip wheel --no-build-isolation --no-deps --wheel-dir wheels . \
    && pip --python /srv/venv/bin/python install --no-compile --no-deps --no-index wheels/*.whl \
    && pip --python /srv/venv/bin/python check \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/venv

# build: adds a collection, as soon as a Dockerfile begins with FROM this stage.
FROM packages AS build
ONBUILD ARG TASKS
ONBUILD COPY ${TASKS:-.}/requirements.tx[t] ./
ONBUILD RUN if [ -f requirements.txt ]; then \
      pip --python /srv/venv/bin/python install --no-cache-dir --no-compile \
        --requirement requirements.txt \
      && pip --python /srv/venv/bin/python check \
      && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/venv; \
    fi
ONBUILD COPY ${TASKS:-.} /srv/app/${TASKS:-.}/
ONBUILD RUN ln -s "/srv/app/${TASKS:-.}" /srv/tasks \
    && find /srv/app -mindepth 1 -name '.*' -prune -exec rm -r {} + \
    && chmod -R a+rX /srv/app \
    && python -m compileall -q --invalidation-mode unchecked-hash /srv/app
# The extra `worker`, for collections with workers; it needs no import of their code.
ONBUILD RUN if grep -rqsE --include='*.py' --include='*.toml' \
      "batch_handler|run_as *= *[\"']worker[\"']" /srv/tasks/ \
      && ! /srv/venv/bin/python -c 'import google.pubsub_v1' 2>/dev/null; then \
      pip --python /srv/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        --require-hashes --requirement locks/worker.txt \
      && pip --python /srv/venv/bin/python check \
      && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/venv; \
    fi

# The three lines that a Dockerfile of yours has, too.
FROM build AS tasks
FROM run
COPY --from=tasks /srv /srv
