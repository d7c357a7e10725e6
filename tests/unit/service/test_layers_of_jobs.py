"""Layers that jobs name: the same rights, the same faults."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace

from imagemill.model.errors import (
    BadOption,
    ImagemillError,
    LimitExceeded,
    SourceForbidden,
)
from imagemill.model.job import Job, State, Timings, Wanted
from imagemill.model.keys import source_key
from imagemill.model.recipe import Encode, SourceRef
from imagemill.model.request import ImageRequest
from imagemill.plan.prepare import prepare
from imagemill.service.bodies import recipe
from imagemill.service.rights import Rights
from imagemill.service.steps import plan_of
from imagemill.settings import Limits, Tenant
from unit.service.cluster import SOURCE
from unit.service.layering import LOGO, MARK, asked
from unit.service.ordering import NOW_S, World, rendition, spec


class TestJobs:
    LAYERED = {"type": "layer", "source": {"scheme": "https", "address": "https://EXAMPLE.com:443/logo.png"}}

    def test_sources_in_recipes_are_spelled_as_all_know_them(self):
        """Or a purge by that source would pass them by."""
        found = rendition(recipe=[self.LAYERED])

        assert found.recipe[0].source == SourceRef("https", "https://example.com/logo.png")

    @pytest.mark.parametrize(
        "source",
        [
            {"scheme": "ftp", "address": "x"}, {"scheme": "https", "address": "http://a.example/x"},
            {"scheme": "https", "address": "local:a/b"}, {"scheme": "http", "address": "https:"}, {"scheme": "s3", "address": "x"},
            {"scheme": "file", "address": "/etc/passwd"}, {"scheme": "", "address": "local:out/x"},
        ],
    )  # fmt: skip
    def test_no_other_source_is_smuggled_in(self, source):
        """S20: what a recipe names as a layer is what a URL could name, by the same parser."""
        with pytest.raises(ImagemillError):
            rendition(recipe=[{"type": "layer", "source": source}])

    @pytest.mark.parametrize(
        ("inner", "where"),
        [
            ([{"type": "flip", "x": 1}], r"recipe\[0\].recipe\[0\].x: unknown field"),
            ([{"type": "nothing"}], r"recipe\[0\].recipe\[0\].type"),
            ([{"type": "encode"}], "not encoded by itself"),
        ],
    )
    def test_a_layers_own_recipe_is_read_as_strictly(self, inner, where):
        with pytest.raises(BadOption, match=where):
            rendition(recipe=[{**self.LAYERED, "recipe": inner}])

    @pytest.mark.parametrize("field", ["place", "shadow", "source"])
    def test_unknown_fields_of_its_values_are_refused(self, field):
        value = {**self.LAYERED.get(field, {}), "oops": 1} if field == "source" else {"oops": 1}

        with pytest.raises(BadOption, match=rf"{field}\.oops: unknown field"):
            rendition(recipe=[{**self.LAYERED, field: value}])

    @pytest.mark.parametrize("depth", [3, 40, 5_000])
    def test_layers_in_layers_in_layers(self, depth):
        """However deep, it is an error of the caller's and nothing else."""
        text = json.dumps({**self.LAYERED, "recipe": ["@"]})
        before, _, after = text.partition('"@"')
        nested = before * depth + after * depth

        with pytest.raises((BadOption, LimitExceeded)):
            spec_of(nested)

    async def test_a_tenant_may_read_layers_where_it_may_read_sources(self):
        """Stores that are not its own, and addresses that may not be fetched, are refused as a layer, too."""
        world = World()
        local = {"scheme": "local", "address": "sample/a.png"}
        for source, tenant, allowed in (
            (local, "narrow", True), ({"scheme": "local", "address": "out/a.png"}, "narrow", False),
            ({"scheme": "local", "address": "out/a.png"}, "other", True),
            ({"scheme": "local", "address": "none/a.png"}, "other", False),
            ({"scheme": "https", "address": "https://forbidden.example/a"}, "other", False),
            ({"scheme": "https", "address": "https://fine.example/a"}, "other", True),
        ):  # fmt: skip
            job = replace(
                spec(renditions=[{"name": "a", "recipe": [{"type": "layer", "source": source}]}]), store="", warm=True
            )
            if allowed:
                await world.admission.of(tenant).admit(job)
            else:
                with pytest.raises(SourceForbidden, match=r"^layer "):
                    await world.admission.of(tenant).admit(job)
        assert "https://forbidden.example/a" in world.sources

    def test_rights_are_asked_again_when_it_is_made(self):
        """A store that was the tenant's when it ordered may be so no more."""
        job = spec(
            renditions=[{"name": "a", "recipe": [{"type": "layer", "source": {"scheme": "local", "address": "b/x"}}]}]
        )
        Rights({"t": Tenant(stores=("out", "b"))}).check("t", job)

        with pytest.raises(SourceForbidden):
            Rights({"t": Tenant(stores=("out",))}).check("t", job)

    def test_nothing_at_all_is_a_recipe(self):
        """Of the picture, and of a layer."""
        assert rendition(recipe=[]).recipe == (Encode(),)
        assert rendition(recipe=[{**self.LAYERED, "recipe": []}]).recipe[0].recipe == ()

    def test_what_a_job_makes_is_purged_by_its_layers(self):
        """Its plan is the one that a request for the same has."""
        job = replace(spec(tags=["b", "a"]), source=SOURCE)
        wanted = Wanted("x", asked(LOGO).recipe, "")

        plan = plan_of(job, wanted)

        assert (plan.key, plan.tags) == (asked(LOGO).key, (f"*{source_key(LOGO)}", "a", "b"))

    def test_sources_of_a_job(self):
        job = replace(spec(), source=SOURCE, renditions=(
            Wanted("a", asked(LOGO, SOURCE).recipe, ""), Wanted("b", asked(MARK, LOGO).recipe, "")
        ))  # fmt: skip

        assert job.sources == (SOURCE, LOGO, MARK)
        assert Job("0" * 32, "t", job, State.QUEUED, Timings(NOW_S, NOW_S)).spec.sources == job.sources


def spec_of(recipe_text):
    found = recipe(Raw(f"[{recipe_text}]".encode()), "recipe")
    return prepare(ImageRequest(SOURCE, found), Limits())
