"""Ask for transfers as callers do who lose answers and ask again, and see that each answer is what it should be."""

from collections.abc import Callable, Sequence
from uuid import UUID

from shared.domain.acceptance import Accepted, AcceptedBatch, BatchRequest, Refused, TransferRequest
from shared.domain.errors import OutcomeUnknown, QueueUnavailable
from shared.domain.wire import acceptance, to_json
from tests.ledger import CURRENCY
from tests.load.checker import Sent
from tests.simulation.edge import Edge, Slow, Ways
from tests.simulation.interruption import Interruption
from tests.simulation.model import Invariant, Known
from tests.simulation.world import LANE, World

FRESH, REPLAY, MISMATCH = "fresh", "replay", "IdempotencyKeyReused"


class Callers:
    """Everybody who asks for anything, one after the other, but for one whose request takes long."""

    def __init__(self, world: World, *, ways: Ways, wake_lane: Callable[[int], None]) -> None:
        """Start the edge."""
        self._world = world
        self._slow: tuple[Slow, Known] | None = None
        self.edge = Edge(world.database_url, lane_count=LANE, wake_lane=wake_lane, ways=ways)

    def request(
        self, source: UUID, destination: UUID, amount: int, *, key: str | None, reference: str | None = None
    ) -> TransferRequest:
        """Say what is asked for; the source's owner asks, or somebody whose it is not."""
        return TransferRequest(
            transfer_id=self._world.new_id(),
            owner_id=self._world.model.owners.get(source, UUID(int=999)),
            idempotency_key=key,
            fingerprint=f"{source} {destination} {amount} {reference}".encode() if key is not None else None,
            source_wallet_id=source,
            destination_wallet_id=destination,
            destination_email=None,
            amount_minor=amount,
            currency=CURRENCY,
            reference=reference,
            note=None,
            metadata=None,
        )

    def again(self, number: int, *, otherwise: bool = False) -> TransferRequest | None:
        """Make a request anew that was accepted, as a client does who got no answer; or another with its key."""
        keyed = [known for known in self._world.model.in_order() if known.request.idempotency_key is not None]
        if not keyed:
            return None
        was = keyed[number % len(keyed)]
        return self.request(
            was.source,
            was.destination,
            was.request.amount_minor + otherwise,
            key=was.request.idempotency_key,
            reference=was.request.reference,
        )

    def submit(self, requests: Sequence[TransferRequest], *, interruption: Interruption | None = None) -> None:
        """Ask for transfers at the same time. Whoever would have to wait for the slow one's key does not ask."""
        requests = [request for request in requests if not self._is_held(request)]
        places = [self._world.tick() for _ in requests]
        answers = self.edge.submit(requests, interruption=interruption)
        told = list(zip(requests, places, answers, strict=True))
        has_cut = interruption is not None and interruption.has_cut
        # Of the same request twice at once nobody says which is the first.
        for request, place, answer in sorted(told, key=lambda one: isinstance(one[2], Accepted) and one[2].replayed):
            self._learn(request, answer, place=place, has_cut=has_cut)

    def begin(self, request: TransferRequest) -> None:
        """Ask a slow process, which has written and not committed when this returns."""
        if self._slow is None and self._expected(request) == FRESH:
            known = Known(request=request, place=self._world.tick())
            self._slow = (self.edge.begin(request), known)

    def finish(self, *, dies: bool = False) -> None:
        """Let the slow process commit and answer, or die before."""
        if self._slow is not None:
            (slow, known), self._slow = self._slow, None
            answer = self.edge.finish(slow, dies=dies)
            # PostgreSQL may have ended it before: five seconds, in which a machine under load comes to nothing.
            self._learn(known.request, answer, place=known.place, has_cut=True)

    def submit_batch(
        self, key: str, transfers: Sequence[TransferRequest], *, interruption: Interruption | None = None
    ) -> None:
        """Ask for a batch, all of one owner's."""
        world = self._world
        places = [world.tick() for _ in transfers]
        fingerprint = b"|".join(
            f"{t.source_wallet_id} {t.destination_wallet_id} {t.amount_minor}".encode() for t in transfers
        )
        owner_id = transfers[0].owner_id
        request = BatchRequest(
            batch_id=world.new_id(),
            owner_id=owner_id,
            idempotency_key=key,
            fingerprint=fingerprint,
            transfers=transfers,
        )
        answer = self.edge.submit_batch(request, interruption=interruption)
        earlier = world.model.batches.get((owner_id, key))
        if earlier is not None:
            expected = REPLAY if earlier[0] == fingerprint else MISMATCH
        else:
            expected = "BatchInvalid" if any(world.model.refusal(transfer) for transfer in transfers) else FRESH
        match answer:
            case AcceptedBatch(batch=batch, replayed=replayed):
                self._expect(expected, REPLAY if replayed else FRESH, what=f"batch {key}")
                is_written = not replayed
                if earlier and [known.id for known in earlier[1]] != list(batch.transfer_ids):
                    world.complain(Invariant.IDEMPOTENCY, f"batch {key} has other transfers than before")
            case Refused(reason=OutcomeUnknown() | QueueUnavailable() as reason):
                there = world.count("SELECT count(*) FROM transfer_batches WHERE id = %s", request.batch_id)
                has_cut = interruption is not None and interruption.has_cut
                is_written = self._is_there(reason, there=there, has_cut=has_cut)
            case Refused(reason=reason):
                self._expect(expected, type(reason).__name__, what=f"batch {key}")
                is_written = False
        if is_written:
            known = [Known(request=t, place=p, batch=key) for t, p in zip(transfers, places, strict=True)]
            world.model.batches[owner_id, key] = (fingerprint, known)
            told = world.tick()
            for n, one in enumerate(known):
                world.accept(one)
                world.sent.append(Sent(f"{owner_id} {key} {n}", str(one.id), places[0], told))

    def _is_held(self, request: TransferRequest) -> bool:
        if self._slow is None:
            return False
        slow = self._slow[1].request
        return (slow.owner_id, slow.idempotency_key) == (request.owner_id, request.idempotency_key)

    def _learn(self, request: TransferRequest, answer: Accepted | Refused, *, place: int, has_cut: bool) -> None:
        world, what = self._world, f"{request.idempotency_key} of {request.owner_id}"
        match answer:
            case Accepted(transfer=transfer, replayed=replayed):
                self._expect(self._expected(request), REPLAY if replayed else FRESH, what=what)
                earlier = world.model.by_key.get((request.owner_id, request.idempotency_key or ""))
                known = earlier if earlier is not None and replayed else Known(request=request, place=place)
                record = to_json(acceptance(transfer))
                if transfer.id != known.id or known.record not in {None, record}:
                    world.complain(Invariant.IDEMPOTENCY, f"{what}: {record!r}, before {known.record!r}")
                known.record = record
                if not replayed:
                    world.accept(known)
                world.sent.append(
                    Sent(f"{request.owner_id} {request.idempotency_key}", str(transfer.id), place, world.tick())
                )
            case Refused(reason=OutcomeUnknown() | QueueUnavailable() as reason):
                there = world.count("SELECT count(*) FROM transfers WHERE id = %s", request.transfer_id)
                if self._is_there(reason, there=there, has_cut=has_cut):
                    world.accept(Known(request=request, place=place))
            case Refused(reason=reason):
                self._expect(self._expected(request), type(reason).__name__, what=what)

    def _expected(self, request: TransferRequest) -> str:
        """Say how a request should be answered. The key comes before everything that depends on state."""
        earlier = self._world.model.by_key.get((request.owner_id, request.idempotency_key or ""))
        if earlier is not None:
            return REPLAY if earlier.request.fingerprint == request.fingerprint else MISMATCH
        return self._world.model.refusal(request) or FRESH

    def _expect(self, expected: str, found: str, *, what: str) -> None:
        if expected != found:
            self._world.complain(Invariant.IDEMPOTENCY, f"{what}: answered {found}, should be {expected}")

    def _is_there(self, reason: OutcomeUnknown | QueueUnavailable, *, there: int, has_cut: bool) -> bool:
        """Say whether something was written although nobody was told so; then nobody was woken for it either."""
        if not has_cut:
            self._world.complain(Invariant.NO_TROUBLE, f"answered {type(reason).__name__} for no reason")
        if there and isinstance(reason, QueueUnavailable):
            self._world.complain(Invariant.HONESTY, "what was said not to be written is there")
        self._world.are_lost = self._world.are_lost or bool(there)
        return bool(there)
