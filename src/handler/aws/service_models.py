"""Which models of AWS's services the clients are made of: our own of the services that every run uses.

The boto3 of Lambda's runtime may be older than a parameter, and describes hundreds of operations and
members that nobody here asks for. So as much as is used stands in `models/`, taken from botocore
(Apache License 2.0) by tools/api_models.py; the other services' models are boto3's own.
"""

from __future__ import annotations

import os
from pathlib import Path

from botocore.loaders import Loader
from botocore.session import Session

MODELS = Path(__file__).parent / "models"


def use_own_models(core: Session) -> None:
    """From now on clients of this session are made of them."""
    core.register_component("data_loader", _Loader([str(MODELS)]))


class _Loader(Loader):
    """Finds services by their folders.

    botocore opens each of its 400 to know which has a model, twice for the first client; a folder
    without one is an error a moment later all the same.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's signature
        folders = (path for path in self.search_paths if os.path.isdir(path))  # noqa: PTH112 - Path costs
        return [name for path in folders for name in os.listdir(path)]  # noqa: PTH208 - ten times as much
