"""From content to the factors of a factorization: deep content-based recommendation.

van den Oord, Dieleman & Schrauwen (2013), "Deep content-based music recommendation", NIPS. With y_i the factors
that a factorization found for item i, x_u those of user u, and y'_i what a network makes of the content of i,

    min sum_i |y_i - y'_i|^2                                    Eq. 4, ``loss="factors"``,
    min sum_u,i c_ui (p_ui - x_u . y'_i)^2, x_u fixed           Eq. 5, ``loss="ratings"``,

with p_ui = 1 where r_ui > 0, c_ui = 1 + alpha ln(1 + r_ui / epsilon) there (Eq. 2) and 1 elsewhere. The same from
the attributes of people to their vectors: Zhao, Li, He, Chang, Wen & Li (2016), "Connecting Social Media to
E-Commerce: Cold-Start Product Recommendation Using Microblogging Information", TKDE 28(5), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Column, kind_of
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, need
from twofold.features.audio import LogMel
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._apart import Apart
from twofold.models._around import Around
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models._parts import estimator_of, same_training, table_of
from twofold.models.mapping._content_dense import MLP as MLP
from twofold.models.mapping._content_dense import DenseMap, Linear
from twofold.models.mapping._content_goal import Goal, confidence
from twofold.models.mapping._content_maps import fit_map, mapped
from twofold.models.mapping._content_rows import KINDS, WORDS, ContentCode, OnError, chosen
from twofold.models.mapping._content_rows import SoundCode as SoundCode
from twofold.models.mapping._content_sound import CNN, SoundMap
from twofold.models.mapping._content_trees import TreeMap, Trees
from twofold.nn.optimisers import Adam, Optimiser
from twofold.random import generator
from twofold.rank import CONTENT, FALLBACK, Encoded
from twofold.typing import F32, I64, Bool, Rng

ADVICE = "lower `network.reg`", "lower the learning rate of `optimiser`"  # without and with steps


def factorization_table(part: Any) -> dict[str, Any]:
    """Return the factorization as a table; its hyperparameters are checked."""
    table = table_of(part, "DeepContent.factorization")
    estimator_of(table, "DeepContent.factorization")
    return table


@hyperparameters
class DeepContent:
    """Learn which factors an item, or a person, would have from what it is made of.

    A factorization is fitted first; then a network learns to map the content of those that have a history to
    their factors. Items that nobody has touched, and people of whom only attributes are known, get the factors
    that the network says; everything else is the factorization's.

    Notes
    -----
    Differs from the papers: content is any column (words, tags, numbers; of a sound the mean and spread of its mel bands,
    or the sound itself for the CNN), not MFCCs in a bag of words; factors are centred and scaled by one number before
    they are learned; the first paper gives neither the sizes of its CNN nor `alpha` and `epsilon` of the confidence. Of
    the second, people's vectors come from the factorization, not from doc2vec, and neither its refinement of the fitted
    vectors nor its feature-based ranker is there.

    Example
    -------
    >>> import twofold as tw
    >>> deep = tw.models.DeepContent(factorization=tw.models.IALS(factors=4), network={"kind": "linear"})
    >>> model = deep.fit(tw.testing.planted_log(), rng=0)
    >>> new = {"item": ["n1", "n2"], "title": ["an even thing", "an odd thing"], "tags": [["even"], ["odd"]]}
    >>> model.with_items(new).recommend(users=[100, 101], allow=["n1", "n2"], k=1)["item"].to_list()
    ['n1', 'n2']
    """

    factorization: Annotated[Any, BeforeValidator(factorization_table)] = Field(
        default_factory=lambda: {"model": "IALS"}
    )
    """The model whose factors are learned: an estimator, kept as a table with the class under ``model``."""
    side: Literal["items", "users"] = "items"
    """Whose content is mapped."""
    content: tuple[str, ...] = ()
    """Features that are read; () reads all of a kind that can be read."""
    network: Annotated[Linear | MLP | CNN | Trees, Field(discriminator="kind")] = MLP()
    """Linear(), MLP(hidden=(1000,)), CNN() for the windows of one sound feature, or boosted Trees()."""
    loss: Literal["factors", "ratings"] = "factors"
    """The distance to the factors, or the weighted error of the pairs that they explain (IALS alone)."""
    alpha: PositiveFloat = 2.0
    """Of the confidence, where the loss is on ratings."""
    epsilon: PositiveFloat = 1e-6
    """Of the confidence, where the loss is on ratings."""
    vocabulary: Annotated[PositiveInt, Search(1000, 50_000, log=True)] = 20_000
    """Words of a text or bag feature that are kept: those in most rows; not read where no such feature is."""
    sound: LogMel = LogMel()
    """How sounds are read: log-mel bands; see ``twofold.features.audio``."""
    on_error: OnError = "refuse"
    """What a sound does that is missing, corrupt, silent or too short: refuse, or skip."""
    optimiser: Optimiser = Adam()
    """How steps are taken; not read by the linear map on factors and by trees."""
    epochs: PositiveInt = 100
    """Passes over the rows, at most; not read by the linear map on factors and by trees, which take no steps."""
    batch_size: Annotated[PositiveInt, Search(16, 512, log=True)] = 64
    """Rows a step; not read by the linear map on factors and by trees."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the rows that is left out of training to say when to stop, at least 10 rows; fewer than 40 have none to spare. Not read by the linear map on factors and by trees."""
    patience: PositiveInt | None = 5
    """Passes without a better loss on these rows before training stops; None trains on all rows to the end. Not read by the linear map on factors and by trees."""

    def unread(self, train: Dataset | None = None) -> tuple[str, ...]:
        """Return the hyperparameters with a search range that are not read as the others are, on a training set where one is given."""
        steps, linear = takes_steps(self), isinstance(self.network, Linear)
        found = [] if steps else ["optimiser", "batch_size"]
        if steps and linear:
            found.append("network.reg")
        columns = {} if train is None else side_of(self, train).features
        kinds = {kind_of(one) for name, one in columns.items() if name in (self.content or columns)}
        if isinstance(self.network, CNN) or (train is not None and kinds.isdisjoint(WORDS)):
            found.append("vocabulary")
        return tuple(found)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        rng: Rng = None,
        factorization: FittedModel | None = None,
    ) -> FittedDeepContent:
        """Fit the factorization, and the network on those rows that have a history.

        Parameters
        ----------
        train
            The log, with features of the items, or of the users.
        validation
            Handed to the factorization; the network holds out rows of its own.
        rng
            Seed or generator; the same seed gives the same model.
        factorization
            A model that is fitted already, on the same training set; it replaces the one declared.

        Raises
        ------
        DataError
            If the log is empty, there is nothing to read, or `factorization` was fitted on another set.
        ConfigError
            If a feature is not there or is of a kind that the network does not read, the model has no factors,
            or the loss does not go with it.
        NotConvergedError
            If the network leaves the finite numbers.
        MissingDependencyError
            If torch, or for a linear map and trees scikit-learn, is not installed.
        """
        random = generator(rng)
        check_network(self)
        columns = side_of(self, train).features
        names = chosen("DeepContent.content", self.content, columns, kinds_of(self), self.side)
        base = factorization
        if base is None:
            made = estimator_of(self.factorization, "DeepContent.factorization")
            base = made.fit(train, validation=validation, rng=int(random.integers(2**31)))
        elif not same_training(base.memory, Memory.of(train)):
            raise DataError(
                f"the {type(base.estimator).__name__} was fitted on another training set; fit it on this one"
            )
        rows, goal = goal_of(self, base)
        content = {name: columns[name].take(rows) for name in names}
        code, learned = fit_map(self, content, names, goal, random)
        vectors = factors_of(base)
        cold = np.flatnonzero(base.memory.popularity == 0)
        if self.side == "items" and len(cold):
            vectors = vectors.copy()
            vectors[cold] = mapped(code, learned, train.items.take(cold).features)[0]
        check_finite("item_factors", vectors, ADVICE[takes_steps(self)])
        return FittedDeepContent(
            estimator=self,
            memory=base.memory,
            base=base,
            code=code,
            network=learned,
            item_factors=vectors,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDeepContent(Apart, Around):
    """The factorization, with a network that says the factors of who or what has no history.

    An item or a person of whom nothing that is known was seen in training has the mean of the factors; such a
    person is answered by popularity.
    """

    code: ContentCode | None
    """How columns are read; None where the network reads a sound itself."""
    network: DenseMap | TreeMap | SoundMap
    item_factors: F32  # (n_items, d)
    """The factorization's; and the network's of items that nobody touched, where it maps items."""

    def __post_init__(self) -> None:
        """Read what the network reads."""
        super().__post_init__()
        items = self.estimator.side == "items"
        object.__setattr__(self, "reads_content", items)
        object.__setattr__(self, "reads_features", self.base.reads_features if items else True)

    @property
    def feature_levels(self) -> Levels:
        """The values that were learned of people's attributes, where the network maps people."""
        return self.base.feature_levels if self.estimator.side == "items" else self._levels

    @property
    def content_levels(self) -> Levels:
        """The values that were learned of the items' features, where the network maps items."""
        return self._levels if self.estimator.side == "items" else {}

    @property
    def _levels(self) -> Levels:
        if isinstance(self.network, SoundMap):
            return {self.network.column: None}
        return {} if self.code is None else self.code.levels

    @property
    def sound_folders(self) -> Mapping[str, tuple[str, ...] | None]:
        """Where the sounds lie that were read in training, by feature; None = not kept."""
        if isinstance(self.network, SoundMap):
            return {self.network.column: self.network.folders}
        codes = (
            {} if self.code is None else dict(zip(self.code.names, self.code.codes, strict=True))
        )
        return {name: one.folders for name, one in codes.items() if isinstance(one, SoundCode)}

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, d)."""
        return self.item_factors

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as the factorization does; people without a history by their attributes."""
        if self.estimator.side == "items":
            return self.base.encode(queries)
        vectors, source = self.base.encode(replace(queries, features={}))
        rows = np.flatnonzero(source == FALLBACK)
        if len(rows) and queries.features:
            found, known = self.predicted(queries.take(rows).features)
            vectors, source = np.array(vectors), source.copy()
            vectors[rows[known]] = found[known]
            source[rows[known]] = CONTENT
        return Encoded(vectors, source)

    def encode_items(self, items: Entities) -> F32:
        """Map the content of new items, shape (j, d)."""
        return self.predicted(items.features)[0]

    def encode_features(self, queries: Queries) -> F32 | csr_array:
        """Map the attributes of people, shape (n, d)."""
        if self.estimator.side == "items":
            return super().encode_features(queries)
        return self.predicted(queries.features)[0]

    def predicted(self, columns: Mapping[str, Column]) -> tuple[F32, Bool]:
        """Return the factors that the network says, (n, d), and of which rows something is known, (n,)."""
        return mapped(self.code, self.network, columns)


def side_of(model: DeepContent, train: Dataset) -> Entities:
    """Return the items or the users."""
    return train.items if model.side == "items" else train.users


def kinds_of(model: DeepContent) -> tuple[Any, ...]:
    """Return the kinds of columns that the network reads."""
    return ("sound",) if isinstance(model.network, CNN) else KINDS


def check_network(model: DeepContent) -> None:
    """Refuse what does not go together before anything is fitted, and what is not installed.

    Raises
    ------
    ConfigError
        Saying what does not.
    MissingDependencyError
        Naming the package.
    """
    if model.loss == "ratings" and isinstance(model.network, Trees):
        raise ConfigError(
            'DeepContent.loss got "ratings", and trees learn factors; use loss="factors"'
        )
    if takes_steps(model):
        need("torch", "deep")
    else:
        need("sklearn", "learn")


def takes_steps(model: DeepContent) -> bool:
    """Say whether training takes steps; trees grow, and the linear map on factors is solved."""
    return not isinstance(model.network, Trees | Linear) or model.loss == "ratings"


def factors_of(base: FittedModel) -> F32:
    """Return the item vectors of a factorization.

    Raises
    ------
    ConfigError
        If it has none: its vectors are as long as the catalogue.
    """
    vectors = base.item_vectors
    if isinstance(vectors, np.ndarray) and isinstance(
        base.lookup(np.zeros(1, np.int32)), np.ndarray
    ):
        return vectors
    raise ConfigError(
        f"DeepContent.factorization got {type(base.estimator).__name__}, which has no factors; "
        "use IALS, BPR, BiasedMF, PMF or BPMF"
    )


def goal_of(model: DeepContent, base: FittedModel) -> tuple[I64, Goal]:
    """Return which rows have a history, and what their content should be mapped to.

    Raises
    ------
    ConfigError
        If the loss is on ratings and the model's scores do not mean taken or not.
    """
    items = factors_of(base)
    users = np.asarray(base.lookup(np.arange(len(base.users), dtype=np.int32)), np.float32)
    of_items = model.side == "items"
    own, other = (items, users) if of_items else (users, items)
    counts = base.memory.popularity if of_items else base.memory.history.lengths
    rows = np.flatnonzero(counts > 0).astype(np.int64)
    if model.loss == "factors":
        return rows, Goal.of(own[rows])
    if type(base.estimator).__name__ != "IALS":
        raise ConfigError(
            f'DeepContent.loss got "ratings" with {type(base.estimator).__name__}, whose scores are not '
            '1 for taken and 0 for not; use IALS, or loss="factors"'
        )
    weights = confidence(base.memory, len(items), model.alpha, model.epsilon)
    side = csr_array(weights.T) if of_items else weights
    return rows, Goal.of(own[rows], other, csr_array(side[rows]))
