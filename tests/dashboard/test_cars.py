"""The cars on the map: decoding, drawing, picking; 100,000 of them (done when 2)."""

import struct

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.browser import window
from tests.dashboard.standin import STATES, Town

FLEET = 100_000
CHANGE_MS_MAX = 10.0


def columns(expression: str) -> str:
    return f"Array.from(motorcadeFleet.cars.{expression})"


def test_columns_hold_what_the_wire_said(browser: Browser) -> None:
    at_us = 1_795_698_392_000_000
    town = Town(500, basemap=False, now_us=lambda: at_us)
    with window(browser, town, still=True) as seen:
        seen.go("/?map=11/49.41/8.68&state=moving")
        page = seen.cars()
        seen.until("motorcadeFleet.cars.used === 500")
        lon, lat, speed, heading = town.at(at_us)
        assert page.evaluate(columns("lon.subarray(0, 500)")) == (lon * 1e7).astype("<i4").tolist()
        assert page.evaluate(columns("lat.subarray(0, 500)")) == (lat * 1e7).astype("<i4").tolist()
        motion = np.stack([(speed * 100).astype("u2"), (heading * 100).astype("u2")], axis=1)
        assert page.evaluate(columns("motion.subarray(0, 1000)")) == motion.ravel().tolist()
        ages = page.evaluate(
            f"Array.from({{length: 500}}, (_, s) => motorcadeFleet.cars.fixAge(s, {at_us} / 1000))"
        )
        assert np.allclose(ages, town.fix_age_ms / 1000, atol=0.001)
        kinds = np.array(page.evaluate(columns("kind.subarray(0, 1000)"))).reshape(-1, 2)
        assert (kinds[:, 0] == town.state).all()
        assert ((kinds[:, 1] & 4 != 0) == (town.state == 0)).all()


def test_a_car_is_drawn_where_it_is_and_clicking_it_opens_it(browser: Browser) -> None:
    town = Town(500, basemap=False, now_us=lambda: 1_795_698_392_000_000)  # nobody moves on
    with window(browser, town, still=True) as seen:
        seen.go("/")
        page = seen.cars()
        page.evaluate(
            "const c = motorcadeFleet.cars;"
            "motorcadeMap.jumpTo({center: [c.lon[204] * 1e-7, c.lat[204] * 1e-7], zoom: 16})"
        )
        page.wait_for_timeout(1_500)
        box = page.locator("canvas.overlay").bounding_box()
        assert box is not None
        x, y = page.evaluate(
            "const c = motorcadeFleet.cars;"
            "const p = motorcadeMap.project([c.lon[204] * 1e-7, c.lat[204] * 1e-7]); [p.x, p.y]"
        )
        red = page.screenshot(
            clip={"x": box["x"] + x - 40, "y": box["y"] + y - 40, "width": 80, "height": 80}
        )
        assert any_pixel_near(page, red, (240, 74, 40)), "no alarm's triangle where the car is"
        page.mouse.move(box["x"] + x, box["y"] + y)
        expect(page.locator(".tip")).to_contain_text("HD-204")
        expect(page.locator(".tip")).to_contain_text("in alarm")
        page.mouse.click(box["x"] + x, box["y"] + y)
        expect(page.get_by_role("heading", name="HD-204")).to_be_visible()


def any_pixel_near(page: object, png: bytes, colour: tuple[int, int, int]) -> bool:
    """Whether a picture holds a colour; decoded by the browser, which has the means."""
    import base64

    url = "data:image/png;base64," + base64.b64encode(png).decode()
    return bool(
        page.evaluate(  # type: ignore[attr-defined]
            """async ([url, [r, g, b]]) => {
              const image = new Image();
              image.src = url;
              await image.decode();
              const canvas = new OffscreenCanvas(image.width, image.height);
              const pen = canvas.getContext('2d');
              pen.drawImage(image, 0, 0);
              const data = pen.getImageData(0, 0, image.width, image.height).data;
              const off = (i) => Math.abs(data[i] - r) + Math.abs(data[i + 1] - g)
                + Math.abs(data[i + 2] - b);
              for (let i = 0; i < data.length; i += 4) if (off(i) < 60) return true;
              return false;
            }""",
            [url, list(colour)],
        )
    )


def test_a_change_of_all_positions_costs_less_than_ten_milliseconds(browser: Browser) -> None:
    town = Town(FLEET, basemap=False, all_moving=True, dense_over=FLEET)
    with window(browser, town, still=True) as seen:
        seen.go("/?map=10/49.41/8.68")
        page = seen.cars()
        seen.until(f"motorcadeFleet.cars.used === {FLEET} && motorcadeFleet.cars.version > 16")
        decode = page.evaluate("motorcadeFleet.decodeMs.slice(2)")
        upload = page.evaluate("motorcadeLayer.uploadMs.filter((ms) => ms > 0.05)")
        # A busy machine only adds, so the quiet quarter of the changes is what they cost.
        quiet = [float(np.quantile(times or [0], 0.25)) for times in (decode, upload)]
        cost = sum(quiet)
        print(f"decode {quiet[0]:.1f} ms, upload {quiet[1]:.1f} ms")
        assert cost <= CHANGE_MS_MAX, f"decode {decode}, upload {upload}"
        picks = page.evaluate(
            "const c = motorcadeFleet.cars, now = motorcadeFleet.nowMs();"
            "Array.from({length: 100}, () => {"
            "  const t = performance.now(); c.nearest(8.68, 49.41, 0.0005, now, true);"
            "  return performance.now() - t; })"
        )
        print(f"picking {min(picks):.2f} ms")
        assert min(picks) < 2


def test_too_many_cars_come_as_cells_that_sum_to_the_fleet(browser: Browser) -> None:
    with window(browser, Town(30_000, basemap=False), still=True) as seen:
        seen.go("/")
        page = seen.cars()
        seen.until("motorcadeFleet.cars.dense")
        total = "motorcadeFleet.cars.cells.reduce((sum, cell) => sum + cell.count, 0)"
        assert page.evaluate(total) == 30_000
        page.evaluate("motorcadeMap.jumpTo({center: [8.68, 49.41], zoom: 15})")
        seen.until("!motorcadeFleet.cars.dense && motorcadeFleet.cars.used > 0")
        assert page.evaluate("motorcadeFleet.cars.cells.length") == 0


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"", "shorter than its header"),
        (struct.pack("<BBHIqQ", 1, 2, 0, 0, 0, 1), "version 2"),
        (struct.pack("<BBHIqQ", 9, 1, 0, 0, 0, 1), "unknown kind"),
        (struct.pack("<BBHIqQ", 1, 1, 0, 5, 0, 1), "cut short"),
    ],
)
def test_bytes_that_are_no_frame_are_refused(browser: Browser, frame: bytes, says: str) -> None:
    with window(browser, Town(5, basemap=False), still=True) as seen:
        page = seen.go("/")
        told = page.evaluate(
            "bytes => { try { motorcadeFleet.cars.take(new Uint8Array(bytes).buffer); return ''; }"
            "catch (error) { return error.message; } }",
            list(frame),
        )
        assert says in told
        assert len(STATES) == 7
