from tests.command_line import CommandLine


def test_models_are_listed_with_their_sources(command_line: CommandLine) -> None:
    end = command_line.call("compute", "models", "910B", "-o", "json")
    assert end.code == 0, end.err
    models = {model["model"]: model for model in end.json["models"]}
    assert set(models) == {"910B1", "910B2", "910B3", "910B4", "910B4-1"}
    assert models["910B3"]["flops"]["bf16"] == 313e12
    assert models["910B1"]["flops"]["bf16"] is None
    assert all(model["source"] and model["provenance"] == "published" for model in models.values())
    assert models["910B1"]["relative_speed"]["training"]["value"] is None
    assert 0.9 < models["910B3"]["relative_speed"]["training"]["value"] < 1.1


def test_the_table_says_what_a_model_cannot_and_what_nobody_published(command_line: CommandLine) -> None:
    end = command_line.call("compute", "models")
    assert end.code == 0, end.err
    rows = {line.split("\t")[0]: line.split("\t") for line in end.out.splitlines()}
    columns = rows["model"]
    assert rows["T4"][columns.index("bf16")] == "-"
    assert rows["BW1000"][columns.index("bf16")] == ""
    assert len(rows) > 60


def test_a_figure_that_was_not_confirmed_is_marked(command_line: CommandLine) -> None:
    end = command_line.call("compute", "models", "H200")
    assert end.code == 0, end.err
    columns, *rows = (line.split("\t") for line in end.out.splitlines())
    marked = {row[0]: [name for name, cell in zip(columns, row, strict=True) if cell.endswith("?")] for row in rows}
    assert marked == {"H200": [], "H200 NVL": ["fp32", "fp16", "bf16", "fp8"]}
    assert "not found in anything that was read" in end.err

    assert "?" not in command_line.call("compute", "models", "L4").err
    (model,) = command_line.call("compute", "models", "H200 NVL", "-o", "json").json["models"]
    assert "bf16" in model["unconfirmed"]
    assert any("watts" in names for names in model["confirmed"].values())


def test_an_unknown_word_is_refused_with_the_nearest(command_line: CommandLine) -> None:
    end = command_line.call("compute", "models", "H10")
    assert end.code == 3
    assert "H100" in end.err


def test_a_vendor_means_all_of_its_models(command_line: CommandLine) -> None:
    end = command_line.call("compute", "models", "Huawei", "-o", "json")
    assert end.code == 0, end.err
    assert {model["vendor"] for model in end.json["models"]} == {"huawei"}
    assert {"910B3", "910C"} <= {model["family"] for model in end.json["models"]} | {
        model["model"] for model in end.json["models"]
    }
