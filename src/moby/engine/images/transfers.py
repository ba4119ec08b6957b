"""This file is about images on their way: pull, push, load, import, save, and what registries tell."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from moby.core.descriptor import Descriptor
from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotFound, Unauthorized
from moby.core.filters import Filters
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform, host_platform, parse_platform
from moby.core.reference import Reference, dangling_name, parse_any, parse_reference
from moby.core.types.images import DistributionInspect, ImageSearchResult
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig, AuthResponse
from moby.engine.images.lookup import no_such_image, short_id, shown
from moby.engine.images.matching import search_matcher
from moby.engine.images.origins import PARENT
from moby.engine.images.service import ImageService
from moby.images.ahead import Ahead
from moby.images.archive_commit import CommitRequest, Committer
from moby.images.archive_import import Importer, ImportRequest
from moby.images.archive_load import Loaded, Loader
from moby.images.archive_save import Saved, Saver
from moby.images.documents import CONFIG_LIMIT, is_attestation, read_document, read_image
from moby.images.downloads import Download
from moby.images.jobs import Jobs, Report, first_error
from moby.images.lasting import Lasting
from moby.images.pull import Puller, PullRequest
from moby.images.push import Pusher, PushRequest
from moby.images.registry.client import Registries
from moby.images.registry.login import log_in
from moby.images.registry.search import search
from moby.images.unpack import Chains, snapshot_label

log = logging.getLogger(__name__)


class ImageTransfers:
    """Brings images in and out; an async context manager that owns the transfers under way."""

    def __init__(
        self,
        store: ImageStore,
        registries: Registries,
        images: ImageService,
        lasting: Lasting | None = None,
    ) -> None:
        self._store = store
        self._registries = registries
        self._images = images
        self._jobs = Jobs()
        self._chains = Chains(store, lasting=lasting)
        self._puller = Puller(store, registries, self._chains)
        self._pusher = Pusher(store, registries)
        self._loader = Loader(store)
        self._importer = Importer(store, self._chains)
        self._committer = Committer(store, self._chains, self._importer)
        self._saver = Saver(store)

    async def __aenter__(self) -> Self:
        await self._jobs.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._jobs.__aexit__(kind, error, trace)

    def pull(
        self,
        image: str,
        tag: str,
        *,
        platform: str | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """Pull an image, or every tag of a repository; clients that want the same share one pull."""
        reference = _with(parse_reference(image), tag)
        if reference.familiar_name == "scratch":
            raise Forbidden("'scratch' is a reserved name")
        wanted = parse_platform(platform) if platform else None
        request = PullRequest(reference, wanted, auth, headers or {})
        return self._jobs.listen(lambda report: self._pull(request, report), request.key())

    async def _pull(self, request: PullRequest, report: Report) -> None:
        reference = request.reference
        if not reference.is_name_only:
            await self._pull_one(request, report)
            return
        for tag in await self._puller.tags(request):
            one = PullRequest(reference.with_tag(tag), request.platform, request.auth, request.headers)
            try:
                await self._pull_one(one, report)
            except MobyError as error:
                raise type(error)(f"error pulling {one.reference}: {error.message}") from error

    async def _pull_one(self, request: PullRequest, report: Report) -> None:
        try:
            image = await self._puller.pull(request, report)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from errors
        reference = request.reference
        labels = await self._images.naming.labels(image)
        self._images.naming.tell("pull", reference.familiar, reference.familiar_name, labels)

    def push(
        self,
        image: str,
        tag: str,
        *,
        platform: Platform | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """Push an image, or every tag of a repository."""
        reference = _with(parse_reference(image), tag)
        return self._jobs.listen(lambda report: self._push(reference, platform, auth, headers or {}, report))

    async def _push(
        self,
        reference: Reference,
        platform: Platform | None,
        auth: AuthConfig | None,
        headers: Mapping[str, str],
        report: Report,
    ) -> None:
        report.status(f"The push refers to repository [{reference.name}]")
        references = [reference]
        if reference.is_name_only:
            images = await self._images.lookup.of_repository(reference)
            references = [parse_reference(image.name) for image in images]
            if not references:
                raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        for each in references:
            await self._pusher.push(PushRequest(each, platform, auth, headers), report)
            try:
                labels = await self._images.naming.labels(await self._store.get(str(each)))
            except NotFound:
                labels = {}
            self._images.naming.tell("push", each.familiar, each.familiar_name, labels)

    def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[Platform] = (), quiet: bool = False
    ) -> AsyncIterator[JSONMessage]:
        """Take the images of an archive."""
        return self._jobs.listen(lambda report: self._load(archive, platforms, report))

    async def _load(
        self, archive: AsyncIterator[bytes], platforms: Sequence[Platform], report: Report
    ) -> None:
        # An archive may bring what no image needs, or none for these platforms: it is not there afterwards.
        async with self._store.leases.hold(collect=True), self._chains.ahead() as ahead:
            named: dict[str, StoredImage] = {}
            for loaded in await self._loader.load(archive, ahead, platforms):
                image = _stored(loaded)
                named[image.name] = image
            for image in named.values():
                for platform in platforms:
                    best = await self._images.contents.best(image.target, platform)
                    if best is None or not await self._images.contents.complete(best):
                        raise NotFound(
                            f"image {shown(image)} was loaded, but doesn't provide the requested "
                            f"platform ([{platform}])"
                        )
            for image in named.values():
                await self._take(image, platforms, report, ahead)

    async def _take(
        self, image: StoredImage, platforms: Sequence[Platform], report: Report, ahead: Ahead
    ) -> None:
        """Name a loaded image, and unpack it as far as it fits this host."""
        naming = self._images.naming
        await naming.keep_previous(image)
        await self._store.put(image)
        failure = await self._unpack(image, platforms, ahead)
        digest = image.target.digest
        if image.name == dangling_name(digest):
            report.stream(f"Loaded image ID: {digest}\n")
        else:
            await naming.forget_dangling(digest)
            report.stream(f"Loaded image: {shown(image)}\n")
        naming.tell("load", digest, digest, await naming.labels(image))
        if failure:
            report.stream(f"Error unpacking image {shown(image)}: {failure}\n")

    async def _unpack(self, image: StoredImage, platforms: Sequence[Platform], ahead: Ahead) -> str:
        """What went wrong, or nothing: an image that cannot be unpacked is loaded all the same."""
        for platform in platforms or (host_platform(),):
            try:
                best = await self._images.contents.best(image.target, platform)
                if best is not None and await self._images.contents.complete(best):
                    await self.unpack(best, ahead)
            except MobyError as error:
                log.warning("image not unpacked", extra={"image": image.name, "error": error.message})
                return error.message
        return ""

    async def unpack(self, manifest: Descriptor, ahead: Ahead | None = None) -> str:
        """Make sure that a manifest's layers are unpacked; their chain ID. Raises NotFound, DataLoss."""
        document = await self._images.contents.document(manifest)
        image = await self._images.contents.image(document)
        assert document.config is not None
        label = snapshot_label(self._store, image.chain)
        known = (await self._store.content.info(document.config.digest)).labels
        if label and label.items() <= known.items() and await self._chains.exists(image.chain):
            return image.chain  # it is, and its image keeps it: nothing is written for most containers
        await self._store.content.label(document.config.digest, label)
        async with self._store.leases.hold():
            return await self._chains.unpack(document.layers, image.rootfs.diff_ids, ahead=ahead)

    def import_(
        self,
        archive: AsyncIterator[bytes] | str,
        *,
        repository: str = "",
        tag: str = "",
        platform: str | None = None,
        message: str = "",
        changes: Sequence[str] = (),
    ) -> AsyncIterator[JSONMessage]:
        """Make an image of one layer from a tar, or from the one at a URL."""
        reference = None
        if repository:
            reference = _with(parse_reference(repository), tag)
            if reference.digest:
                raise InvalidParameter("cannot import digest reference")
            reference = reference.with_default_tag()
        wanted = parse_platform(platform) if platform else None
        request = ImportRequest(wanted, message, changes)
        return self._jobs.listen(lambda report: self._import(archive, reference, request, report))

    async def _import(
        self,
        archive: AsyncIterator[bytes] | str,
        reference: Reference | None,
        request: ImportRequest,
        report: Report,
    ) -> None:
        if isinstance(archive, str):
            archive = self._downloaded(Download(self._registries, archive), report)
        async with self._store.leases.hold():
            target = await self._importer.import_(archive, request)
            name = str(reference) if reference is not None else dangling_name(target.digest)
            image = StoredImage(name, target)
            await self._images.naming.name(image)
        labels = await self._images.naming.labels(image)
        self._images.naming.tell("import", target.digest, target.digest, labels)
        report.status(target.digest)

    def _downloaded(self, download: Download, report: Report) -> AsyncIterator[bytes]:
        def told(position: int, size: int) -> None:
            if position:
                report.progress("", "Importing", position, size)
            else:
                report.status(f"Downloading from {download.url}")

        return download.chunks(told)

    async def commit(
        self, layer: AsyncIterator[bytes], request: CommitRequest, reference: Reference | None
    ) -> str:
        """An image made of another one and a plain tar of what has changed; its ID."""
        async with self._store.leases.hold():
            target = await self._committer.commit(layer, request)
            name = str(reference) if reference is not None else dangling_name(target.digest)
            labels = {PARENT: request.parent_image} if request.parent_image else {}
            await self._images.naming.name(StoredImage(name, target, labels))
        return target.digest

    async def save(self, names: Sequence[str], *, platforms: Sequence[Platform] = ()) -> AsyncIterator[bytes]:
        """An archive of images, in chunks. Raises NotFound before the first."""
        chosen: list[Saved] = []
        for name in names:
            chosen += await self._to_save(name, platforms)
        for saved in chosen:
            self._images.naming.tell("save", saved.target.digest, saved.target.digest)
        async for chunk in self._saver.save(chosen, platforms):
            yield chunk

    async def _to_save(self, name: str, platforms: Sequence[Platform]) -> list[Saved]:
        parsed = parse_any(name)
        try:
            image = await self._images.lookup.resolve(name)
        except NotFound:
            if isinstance(parsed, str) or not parsed.is_name_only:
                raise
            image = None
        digested = isinstance(parsed, str) or bool(parsed.digest)
        if image is not None and (short := short_id(name)):
            digested = digested or image.target.digest.partition(":")[2].startswith(short)
        if isinstance(parsed, Reference) and parsed.is_name_only and not digested:
            found = await self._images.lookup.of_repository(parsed)
            if not found:
                raise no_such_image(parsed)
            pairs = [(each, parse_reference(each.name)) for each in found]
            return [Saved(await self._target(each, platforms), name_) for each, name_ in pairs]
        assert image is not None
        reference = None if digested or isinstance(parsed, str) else parsed
        return [Saved(await self._target(image, platforms), reference)]

    async def _target(self, image: StoredImage, platforms: Sequence[Platform]) -> Descriptor:
        if len(platforms) != 1:
            return image.target
        best = await self._images.contents.best(image.target, platforms[0])
        if best is None:
            raise NotFound(
                f"no suitable export target found: image with reference {shown(image)} was found but does "
                f"not provide the specified platform ({platforms[0]})"
            )
        return best

    async def distribution(self, image: str, *, auth: AuthConfig | None = None) -> DistributionInspect:
        """What a registry tells of an image."""
        reference = parse_reference(image).with_default_tag()
        repository = self._registries.repository(reference, auth)
        try:
            descriptor, data = await repository.resolve(reference.digest or reference.tag)
        except Unauthorized as error:
            raise Unauthorized(f"errors: {error.message}") from error
        document = read_document(data, descriptor.media_type)
        if document.config is None:
            platforms = [m.platform for m in document.manifests if m.platform and not is_attestation(m)]
            return DistributionInspect(descriptor=descriptor, platforms=platforms)
        if document.config.size > CONFIG_LIMIT:
            raise InvalidParameter(f"image configuration is larger than {CONFIG_LIMIT} bytes")
        chunks = [chunk async for chunk in repository.blob(document.config)]
        return DistributionInspect(descriptor=descriptor, platforms=[read_image(b"".join(chunks)).platform])

    async def search(
        self,
        term: str,
        *,
        limit: int = 0,
        filters: Filters,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sequence[ImageSearchResult]:
        """Repositories of Docker Hub, or of the registry that the term begins with.

        Raises InvalidParameter.
        """
        passes = search_matcher(filters)
        found = await search(self._registries, term, limit, auth, headers)
        return [result for result in found if passes(result)]

    async def authenticate(self, auth: AuthConfig) -> AuthResponse:
        """Log in to a registry. Raises Unauthorized."""
        return await log_in(self._registries, auth)


def _with(reference: Reference, tag: str) -> Reference:
    if not tag:
        return reference
    return reference.with_digest(tag) if ":" in tag else reference.with_tag(tag)


def _stored(loaded: Loaded) -> StoredImage:
    try:
        name = str(parse_reference(loaded.name).with_default_tag()) if loaded.name else ""
    except InvalidParameter:
        name = ""
    return StoredImage(name or dangling_name(loaded.target.digest), loaded.target)
