# make app    set up .venv if needed and serve the interface on http://127.0.0.1:7860
# make test   set up, check style and types, run the tests (headless Chromium included)
# make soak   the long campaigns: twenty kills, a thousand damaged checkpoints, thirty clients

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: app test soak browser

app: $(VENV)/app-ready
	@echo "Serving the playground on http://127.0.0.1:7860 (Ctrl-C stops it)"
	$(RUN) app.py

test: $(VENV)/test-ready browser
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -m "not soak"

soak: $(VENV)/test-ready browser
	$(RUN) -m pytest -m soak

$(VENV)/app-ready: requirements.txt
	@echo "Setting up $(VENV) from requirements.txt: about three minutes and 6 GB, once"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/test-ready: requirements-test.txt $(VENV)/app-ready
	@echo "Adding what the tests need"
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

# The system's Chromium if there is one, else Playwright's own, in a bare container with the libraries it needs.
browser: $(VENV)/test-ready
	@$(RUN) -m playwright --version >/dev/null 2>&1 || apt-get install -y -q libatomic1 \
		|| { echo "Playwright does not start: install libatomic (Debian: apt-get install libatomic1)"; exit 1; }
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| $(RUN) -m playwright install $$([ "$$(id -u)" != 0 ] || echo --with-deps) --only-shell chromium
