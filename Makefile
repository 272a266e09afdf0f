# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test install browser clean

install: $(VENV)/.installed

# torch and torchvision come in one resolve: torchvision's wheel does not import beside another build of torch.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The short embedded study, to an exported policy and two pictures under runs/demo-quick/.
demo: install
	$(BIN)/frdiff-tune tune demo-quick
	$(BIN)/frdiff-tune export demo-quick -o runs/demo-quick/policy.json \
	    --figure runs/demo-quick/front.png --side-by-side runs/demo-quick/side_by_side.png

# Reports and the dashboard are tested in a browser: Debian's, installed where it is missing.
browser:
	command -v chromium > /dev/null || { sudo=$$(test $$(id -u) = 0 || echo sudo); $$sudo apt-get update -qq \
	    && $$sudo apt-get install -qq --yes --no-install-recommends chromium fonts-dejavu-core > /dev/null; } \
	    || { echo "The tests need the browser chromium: install it, then run make test again."; exit 1; }

test: install browser
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

clean:
	rm -rf $(VENV) runs dist
