# The service with the models that ship:
#     docker build -t kore-serve . && docker run --rm -p 127.0.0.1:8000:8000 kore-serve
FROM python:3.11-slim AS build
RUN useradd --create-home kore
WORKDIR /app
COPY .python-version poetry.lock pyproject.toml setup.sh ./
COPY src src
# The CPU build of torch, and exactly what poetry.lock names.
RUN bash -c "source ./setup.sh main extract serve"

FROM python:3.11-slim
RUN useradd --create-home kore
WORKDIR /app
COPY --from=build /app /app
RUN mkdir models outputs && chown kore models outputs
USER kore
ENV HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK CMD [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT [".venv/bin/python", "src/serve.py", "--host", "0.0.0.0"]
