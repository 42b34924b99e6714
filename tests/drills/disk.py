"""Drills of the disk: full, gone, or not to be written."""

from __future__ import annotations

import resource
import shutil
import subprocess

from drills.scene import EARLY, Row, Scene, fill, small_file_system

_RECORD_MB, _LOGS_MB = 16, 1
_RECORD_BYTES = 200_000


def output_disk_full(scene: Scene) -> Row:
    with small_file_system(scene.folder / "outputs", _RECORD_MB):
        first = scene.start()
        first.until_announced(EARLY)
        ballast = fill(scene.folder / "outputs")
        first.end()
        ballast.unlink()
        return scene.ended("output disk full", "the disk is full")


def log_disk_full_for_a_while(scene: Scene) -> Row:
    with small_file_system(scene.folder / "logs", _LOGS_MB):
        first = scene.start()
        first.until_announced(EARLY)
        ballast = fill(scene.folder / "logs")
        first.until_announced(EARLY * 3)
        ballast.unlink()
        return scene.ended("log disk full for a while", "the log can't be written")


def file_size_limit(scene: Scene) -> Row:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_RECORD_BYTES, resource.RLIM_INFINITY))

    scene.start(preexec_fn=limit)
    return scene.ended("no file may have more than 200 kB", "the record can't be written")


def record_unwritable(scene: Scene) -> Row:
    first = scene.start()
    first.until_announced(EARLY)
    aside = scene.record.rename(scene.folder / "aside")
    scene.record.mkdir()
    first.end()
    scene.record.rmdir()
    aside.rename(scene.record)
    return scene.ended("record not to be written", "the record can't be written")


def output_disk_read_only(scene: Scene) -> Row:
    place = scene.folder / "outputs"
    with small_file_system(place, _RECORD_MB):
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        first = scene.start()
        first.end()
        assert first.err.count("\n") == 1
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        return scene.ended("output disk read-only from the start", "Read-only file system", go_on=scene.start)


def output_folder_removed(scene: Scene) -> Row:
    first = scene.start()
    first.until_announced(EARLY)
    shutil.rmtree(scene.folder / "outputs")
    return scene.ended("output folder removed", "it was made again")


def log_folder_removed(scene: Scene) -> Row:
    first = scene.start()
    first.until_announced(EARLY)
    shutil.rmtree(scene.logs)
    row = scene.ended("log folder removed", "the log files were removed")
    assert (scene.logs / "eval_mock.log").read_text().count("type=task_complete") > EARLY
    return row
