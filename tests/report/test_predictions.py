"""Confusions, accuracies of classes, mistakes and filters are those of the network."""

import base64
from dataclasses import replace
import re

import cv2
from gluon_classics.data.images import Images
from gluon_classics.report import predictions
from gluon_classics.report.page import Section, render
from gluon_classics.runs import predictor
from gluon_classics.runs.record import read_run
import mxnet as mx
import numpy as np
from pages import Elements, decoded, numbers_of


def test_the_confusion_matrix_has_the_counts_of_evaluate(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    counted = network.evaluate(data)
    rows = [
        row
        for row in page.all
        if row.tag == "tr" and row.near("data-run") == "0" and row.parent.parent.near("class") == "matrix"
    ]
    cells = {id(row): [] for row in rows}
    for element in page.all:
        if element.tag == "td" and id(element.parent) in cells:
            cells[id(element.parent)].append(element.text)
    headers = [
        element.text
        for element in page.all
        if element.tag == "th" and element.near("data-run") == "0" and element.near("class") == "matrix"
    ]
    assert headers == 2 * list(data.classes)  # of the columns, then of the rows
    matrix = np.array([list(map(int, row)) for row in cells.values() if "" not in row])
    assert matrix.sum() == counted["images"]
    assert list(matrix.diagonal()) == [row["right"] for row in counted["classes"]]
    assert list(matrix.sum(axis=1)) == [row["images"] for row in counted["classes"]]
    (accuracy,) = [float(value) for run, _, metric, value, _ in numbers_of(page) if (run, metric) == ("0", "accuracy")]
    assert accuracy == counted["accuracy"]


def test_the_accuracies_of_the_classes_are_those_of_evaluate(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    shown = [float(value) for run, _, metric, value, _ in numbers_of(page) if (run, metric) == ("0", "class_accuracy")]
    assert shown == [row["right"] / row["images"] for row in network.evaluate(data)["classes"]]


def test_mistakes_are_wrong_test_images_with_the_most_confident_first(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    probabilities = network.test_probabilities(data)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != data.test.labels)
    found = [element for element in page.having("data-image") if element.near("data-run") == "0"]
    assert len(found) == min(len(wrong), predictions.MISTAKES)
    indices = [int(element.attributes["data-image"]) for element in found]
    assert (
        list(probabilities[indices].max(axis=1)) == sorted(probabilities[wrong].max(axis=1), reverse=True)[: len(found)]
    )
    for index, shown in zip(indices, found):
        (picture,) = [element for element in page.all if element.tag == "img" and element.parent is shown]
        assert np.array_equal(decoded(picture), data.test.images[index][..., 0])
        true, predicted = data.classes[data.test.labels[index]], data.classes[probabilities[index].argmax()]
        assert picture.attributes["alt"] == f"Test image {index}: {true}, predicted {predicted}"
        assert re.sub(r"\s+", " ", shown.text).strip() == f"{true} as {predicted} {probabilities[index].max():.2%}"


def test_filters_are_the_weights_of_the_first_convolution(page, trained_run):
    weights = mx.nd.load(str(trained_run / "net.params"))["0.weight"].asnumpy()[:, 0]
    pictures = [
        e for e in page.all if e.tag == "img" and e.parent.near("class") == "filters" and e.near("data-run") == "0"
    ]
    assert len(pictures) == len(weights) == 20
    for picture, weight in zip(pictures, weights):
        assert np.abs(decoded(picture) - 127.5 * (1 + weight / np.abs(weight).max())).max() <= 0.5 + 1e-4


def test_a_network_that_does_not_start_with_a_convolution_of_the_image_has_no_filters():
    net = mx.gluon.nn.Dense(3, in_units=4)
    net.initialize()
    assert predictions.first_filters(net, 1) is None
    convolution = mx.gluon.nn.Conv2D(3, 2, in_channels=3)
    convolution.initialize()
    assert predictions.first_filters(convolution, 1) is None
    assert predictions.first_filters(convolution, 3).shape == (3, 3, 2, 2)


def test_confusions_and_mistakes_of_a_small_example():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.1, 0.3, 0.6], [0, 0.9, 0.1]])
    images = Images(np.zeros((5, 2, 2, 3), np.uint8), np.array([0, 0, 0, 2, 2], np.uint8))
    found = predictions.find(mx.gluon.nn.Dense(1), images, probabilities)
    assert found.confusion.tolist() == [[1, 2, 0], [0, 0, 0], [0, 1, 1]]
    assert (found.right, found.images) == (2, 5)
    assert found.confusions() == [(0, 1, 2), (2, 1, 1)]
    assert [(m.index, m.true, m.predicted, m.probability) for m in found.mistakes] == [
        (4, 2, 1, 0.9),
        (1, 0, 1, 0.8),
        (2, 0, 1, 0.7),
    ]


def test_the_channels_of_pictures_are_red_green_blue():
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 0] = (255, 128, 0)
    content = base64.b64decode(predictions.png(image).partition("base64,")[2])
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist() == [0, 128, 255]


def test_the_confusion_matrix_of_many_classes_is_a_picture(at_home, trained_run):
    confusion = np.diag(np.arange(1, 21))
    confusion[3, 5] = 2
    found = predictions.Findings(confusion, [], [], None)
    record = read_run(trained_run).record
    record = replace(record, data=replace(record.data, classes=tuple(f"class {number}" for number in range(20))))
    section = Section(0, "run", "folder", record, found, None)
    page = Elements(render([section]))
    (picture,) = [e for e in page.all if e.attributes.get("class") == "map"]
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    assert np.array_equal(decoded(picture), np.round(255 * np.sqrt(shares)).astype(np.uint8))
    assert "class 3" in page.all[0].text
    assert not [e for e in page.all if e.attributes.get("class") == "matrix"]
