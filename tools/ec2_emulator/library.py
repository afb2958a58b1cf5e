"""Images and snapshots, and all that may refer to them: what is true of them, and nothing of requests."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tools.ec2_emulator.clock import Clock

DAY = 86_400.0


@dataclass(slots=True)
class Image:
    """One registered image of the account."""

    id: str
    created_at: float
    tags: dict[str, str]
    snapshots: tuple[str, ...]
    sequence: int
    state: str = "available"
    launched_at: float | None = None
    protection: str = "disabled"
    public: bool = False
    # Who may launch it beside its owner, as in DescribeImageAttribute's answer.
    permissions: list[dict[str, str]] = field(default_factory=list)
    source: str | None = None  # what it is, or was, copied from


@dataclass(slots=True)
class Snapshot:
    """One snapshot of the account."""

    id: str
    started_at: float
    tags: dict[str, str]
    volume_id: str
    size: int
    sequence: int
    state: str = "completed"
    tier: str = "standard"
    permissions: list[dict[str, str]] = field(default_factory=list)
    restored_until: float | None = None  # from the archive, for a time
    description: str = ""


@dataclass(slots=True)
class Template:
    """A launch template: the data of each version, the first one first."""

    id: str
    versions: list[Mapping[str, object]]
    sequence: int


@dataclass
class Library:
    """The account's images, snapshots, volumes, and their users beside instances."""

    clock: Clock
    images: dict[str, Image] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    locks: dict[str, str] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    configurations: dict[str, str] = field(default_factory=dict)  # name → image
    groups: dict[str, str] = field(default_factory=dict)  # name → image of an override
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)  # name → type, value
    recipes: dict[str, str] = field(default_factory=dict)  # Image Builder's: ARN → image
    fleet_images: dict[str, str] = field(default_factory=dict)  # fleet → image of an override
    restores: dict[str, str] = field(default_factory=dict)  # snapshot → state of its fast restore
    hidden: set[str] = field(default_factory=set)  # templates and volumes that a service manages
    late: set[str] = field(
        default_factory=set
    )  # images, snapshots and volumes that lists leave out
    # Parameters that the role may not read; AWS's own, `/aws/service/...`, are none of the account's.
    unreadable: set[str] = field(default_factory=set)
    deregistered: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    _sequence: int = 0

    def add_snapshot(
        self,
        *,
        age_days: float = 0,
        tags: Mapping[str, str] | None = None,
        volume_id: str = "vol-0123456789abcdef0",
        size: int = 8,
        state: str = "completed",
        tier: str = "standard",
        restored_until: float | None = None,
        description: str = "",
    ) -> str:
        snapshot_id = self._new_id("snap")
        at = self.clock() - age_days * DAY
        self.snapshots[snapshot_id] = Snapshot(
            snapshot_id,
            at,
            dict(tags or {}),
            volume_id,
            size,
            self._sequence,
            state,
            tier,
            restored_until=restored_until,
            description=description,
        )
        return snapshot_id

    def add_image(
        self,
        *,
        age_days: float = 0,
        tags: Mapping[str, str] | None = None,
        snapshots: Sequence[str] | None = None,
        snapshot_tags: Mapping[str, str] | None = None,
        launched_days_ago: float | None = None,
        state: str = "available",
        protection: str = "disabled",
        public: bool = False,
        source: str | None = None,
    ) -> str:
        """Register an image; without `snapshots` it gets one of its own, with the image's tags."""
        if snapshots is None:
            own = tags if snapshot_tags is None else snapshot_tags
            snapshots = [self.add_snapshot(age_days=age_days, tags=own, volume_id="vol-gone")]
        image_id = self._new_id("ami")
        now = self.clock()
        launched = None if launched_days_ago is None else now - launched_days_ago * DAY
        self.images[image_id] = Image(
            image_id,
            now - age_days * DAY,
            dict(tags or {}),
            tuple(snapshots),
            self._sequence,
            state,
            launched,
            protection,
            public,
            source=source,
        )
        return image_id

    def add_template(self, versions: Iterable[Mapping[str, object]]) -> str:
        template_id = self._new_id("lt")
        self.templates[template_id] = Template(template_id, list(versions), self._sequence)
        return template_id

    def holders(self, snapshot_id: str) -> list[str]:
        """The images that a snapshot is part of."""
        return [one.id for one in self.images.values() if snapshot_id in one.snapshots]

    def _new_id(self, prefix: str) -> str:
        self._sequence += 1
        digest = hashlib.sha256(f"{prefix}/{self._sequence}".encode()).hexdigest()
        return f"{prefix}-{digest[:17]}"
