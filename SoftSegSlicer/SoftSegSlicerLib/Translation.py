"""Slicer's translation of texts, where there is an application to translate for."""

try:
    from slicer.i18n import tr
except ImportError:  # MRML without the application, as in the slicer-core wheel

    def tr(text, *_ignored):
        """Return the text as it is."""
        return text


__all__ = ["tr"]
