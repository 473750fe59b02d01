"""Container images that jobs run in or beside (F08 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile

_IMAGE = re.compile(r"(?P<name>[A-Za-z0-9._/-]+(:[0-9]+/[A-Za-z0-9._/-]+)?)(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}")
# Docker's own images have no owner in their name; the others belong to the makers of what an infrastructure workflow
# runs.
_KNOWN_PUBLISHER = re.compile(
    r"(docker\.io/)?(library/[a-z0-9._-]+|(?![^/]*[.:])[a-z0-9._-]+|(hashicorp|amazon|localstack|opentofu)/[a-z0-9._/-]+)"
    r"|public\.ecr\.aws/(docker/library|hashicorp|amazonlinux|lambda|aws-cli|localstack)/[a-z0-9._/-]+|ghcr\.io/opentofu/[a-z0-9._/-]+"
)
_HEALTH_ONLY = re.compile(
    r"(\s*--health-(cmd|interval|timeout|retries|start-period)[= ]\s*(\"[^\"$`]*\"|'[^'$`]*'|[A-Za-z0-9._-]+))*\s*"
)


def container_image(file: WorkflowFile) -> Iterator[Hit]:
    """A container image is not pinned, comes from a stranger, or is started with special rights.

    A tag can be moved to another image, and a digest says only that the stranger's image stays the same; options such
    as `--privileged` and volumes open the machine.

    Remedy: Name an image of Docker's own library, of HashiCorp, OpenTofu or AWS, or one that a workflow of the base
    uses, by digest (`image@sha256:...`), with `env`, `ports` and health checks only.
    """
    for job in file.workflow.jobs:
        for image in job.images:
            named = _IMAGE.fullmatch(image.image)
            if named is None:
                yield file.hit(
                    job,
                    f"the image `{image.image}` has no digest",
                    image.line,
                    at=f"{image.image} {image.options} {image.other_keys}",
                )
            elif image.image not in file.known_images and not _KNOWN_PUBLISHER.fullmatch(named["name"]):
                yield file.hit(
                    job,
                    f"nobody vouches for the publisher of the image `{image.image}`",
                    image.line,
                    at=f"{image.image} {image.options} {image.other_keys}",
                )
            if not _HEALTH_ONLY.fullmatch(image.options):
                yield file.hit(
                    job,
                    f"the image `{image.image}` has the options `{image.options}`",
                    image.line,
                    at=f"{image.image} {image.options} {image.other_keys}",
                )
            for key in image.other_keys:
                yield file.hit(
                    job,
                    f"the image `{image.image}` has `{key}`",
                    image.line,
                    at=f"{image.image} {image.options} {image.other_keys}",
                )
