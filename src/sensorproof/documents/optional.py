"""Documents with parts that earlier versions did not write."""

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from sensorproof.documents.base import Document


class OmitsNone(Document):
    """A document that leaves out the optional parts that it does not have: it stays as earlier versions wrote it."""

    @model_serializer(mode="wrap")
    def _omit_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if field.default is None and getattr(self, name) is None:
                del document[name]
        return document
