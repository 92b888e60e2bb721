import pytest

from app.errors import StorageFull
from app.jobs.removal.reserve import RESERVE_BYTES, keep_reserve, with_reserve


def test_a_deletion_that_finds_no_room_uses_the_reserve_once(services):
    reserve = services.storage.reserve
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES, "the room is really taken"
    deleted = []

    @with_reserve
    def delete(services, record_id):
        if reserve.exists():
            raise StorageFull("no room")
        deleted.append(record_id)

    delete(services, 7)

    assert deleted == [7]
    assert reserve.stat().st_size == RESERVE_BYTES, "it is taken up again"


def test_without_a_reserve_a_full_disk_is_told(services):
    services.storage.reserve.unlink()

    @with_reserve
    def delete(services, record_id):
        raise StorageFull("no room")

    with pytest.raises(StorageFull):
        delete(services, 7)
    keep_reserve(services.storage)
    with pytest.raises(StorageFull):
        delete(services, 7)
