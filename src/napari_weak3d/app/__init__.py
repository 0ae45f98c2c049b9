"""The napari app: docks, tools, jobs, projects. Everything that is Qt or napari lives here, and no torch."""
