"""The pages for people: HTML that is rendered here and works without JavaScript."""

from skillpm_registry.pages.routes import router

__all__ = ["router"]
