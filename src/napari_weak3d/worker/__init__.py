"""The child process that trains and segments: ``python -P -m napari_weak3d.worker [FOLDER]``.

It reads requests and commands from standard input and writes reports to standard output, one line of JSON each
(:mod:`napari_weak3d.messages`); previews go as files into FOLDER. It ends when its input does.
"""
