# Moonwalk's image: web server, worker and clock are the same one with another command (compose.yaml).

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:$PATH
RUN python -m venv /opt/venv
WORKDIR /app
COPY requirements.txt ./
RUN pip install --requirement requirements.txt
COPY . .
# The key is of this step alone: with one given, none is made and kept. It signs nothing.
RUN SECRET_KEY=only-to-collect-static-files MOONWALK_ENV_FILE= MOONWALK_HASHED_STATIC=True \
    python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q analytics etl moonwalk operations

FROM python:3.11-slim
RUN groupadd --gid 10001 moonwalk \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin moonwalk \
    && mkdir --mode 700 /data && mkdir /exports /backups && chown moonwalk:moonwalk /data /exports /backups
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# Settings come from the environment alone.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MOONWALK_ENV_FILE="" \
    MOONWALK_DATA_DIR=/data MOONWALK_EXPORTS_DIR=/exports MOONWALK_HASHED_STATIC=True LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "moonwalk.wsgi", "--config", "moonwalk/gunicorn.py", "--bind", "0.0.0.0:8000"]
