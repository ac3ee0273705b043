# For a server or a Hugging Face Space (`sdk: docker`, `app_port: 7860`): docker build -t unmask . && docker run -p 7860:7860 unmask
FROM python:3.12-slim

# Spaces run containers as user 1000
RUN useradd --create-home --uid 1000 unmask && mkdir /home/unmask/app && chown unmask /home/unmask/app
USER unmask
WORKDIR /home/unmask/app

# The packages first: this layer, the large one, stays when only the code has changed. Folders are made by the user who
# writes into them, since not every builder gives that user the ones that COPY makes.
RUN mkdir .ci app detector train
COPY --chown=unmask requirements.txt pyproject.toml setup.py LICENSE ./
COPY --chown=unmask .ci/setup.sh .ci/
COPY --chown=unmask detector/version.py detector/
RUN touch app/__init__.py detector/__init__.py train/__init__.py \
    && bash .ci/setup.sh app && rm -rf ~/.cache/pip
COPY --chown=unmask . .

ENV PORT=7860 UNMASK_DEPLOYMENT=server
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD .venv/bin/python -c "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/_stcore/health')"
# A Space shows the app in a frame of another site, where browsers withhold the cookie that guards uploads: they would
# all be refused (403). There is nothing to guard, as nobody signs in. `exec`, so that a stop reaches the app itself.
CMD exec .venv/bin/streamlit run app/main.py --server.port=$PORT --server.address=0.0.0.0 --server.headless=true \
    ${SPACE_ID:+--server.enableXsrfProtection=false}
