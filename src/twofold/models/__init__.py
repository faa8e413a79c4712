"""The models, by the names of their papers. A class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold._lazy import exporter

if TYPE_CHECKING:
    from twofold.models.baselines.ease import EASE as EASE
    from twofold.models.baselines.item_knn import ItemKNN as ItemKNN
    from twofold.models.baselines.mean_rating import MeanRating as MeanRating
    from twofold.models.baselines.personal_frequency import PersonalFrequency as PersonalFrequency
    from twofold.models.baselines.popularity import Popularity as Popularity
    from twofold.models.factorization.biased_mf import BiasedMF as BiasedMF
    from twofold.models.factorization.bpmf import BPMF as BPMF
    from twofold.models.factorization.bpr import BPR as BPR
    from twofold.models.factorization.fm import FM as FM
    from twofold.models.factorization.ials import IALS as IALS
    from twofold.models.factorization.pmf import PMF as PMF
    from twofold.models.mapping.cdl import CDL as CDL
    from twofold.models.mapping.ctr import CTR as CTR
    from twofold.models.mapping.deep_content import DeepContent as DeepContent
    from twofold.models.mapping.dssm import DSSM as DSSM
    from twofold.models.mapping.multi_view_dssm import MultiViewDSSM as MultiViewDSSM
    from twofold.models.mapping.youtube_candidates import YouTubeCandidates as YouTubeCandidates
    from twofold.models.mapping.youtube_ranker import YouTubeRanker as YouTubeRanker
    from twofold.models.sequence.context_embedding import ContextEmbedding as ContextEmbedding
    from twofold.models.sequence.doc2vec import Doc2Vec as Doc2Vec
    from twofold.models.sequence.gru4rec import GRU4Rec as GRU4Rec
    from twofold.models.sequence.hrm import HRM as HRM
    from twofold.models.sequence.jntm import JNTM as JNTM
    from twofold.models.sequence.repeats import Repeats as Repeats
    from twofold.models.sequence.sasrec import SASRec as SASRec
    from twofold.models.sequence.token2vec import Token2Vec as Token2Vec

HOMES = {
    "BPMF": "twofold.models.factorization.bpmf",
    "BPR": "twofold.models.factorization.bpr",
    "BiasedMF": "twofold.models.factorization.biased_mf",
    "CDL": "twofold.models.mapping.cdl",
    "CTR": "twofold.models.mapping.ctr",
    "ContextEmbedding": "twofold.models.sequence.context_embedding",
    "DeepContent": "twofold.models.mapping.deep_content",
    "DSSM": "twofold.models.mapping.dssm",
    "Doc2Vec": "twofold.models.sequence.doc2vec",
    "EASE": "twofold.models.baselines.ease",
    "FM": "twofold.models.factorization.fm",
    "GRU4Rec": "twofold.models.sequence.gru4rec",
    "HRM": "twofold.models.sequence.hrm",
    "IALS": "twofold.models.factorization.ials",
    "ItemKNN": "twofold.models.baselines.item_knn",
    "JNTM": "twofold.models.sequence.jntm",
    "MeanRating": "twofold.models.baselines.mean_rating",
    "MultiViewDSSM": "twofold.models.mapping.multi_view_dssm",
    "PMF": "twofold.models.factorization.pmf",
    "PersonalFrequency": "twofold.models.baselines.personal_frequency",
    "Popularity": "twofold.models.baselines.popularity",
    "Repeats": "twofold.models.sequence.repeats",
    "SASRec": "twofold.models.sequence.sasrec",
    "Token2Vec": "twofold.models.sequence.token2vec",
    "YouTubeCandidates": "twofold.models.mapping.youtube_candidates",
    "YouTubeRanker": "twofold.models.mapping.youtube_ranker",
}
"""Where each model lives."""

__all__ = [
    "BPMF",
    "BPR",
    "CDL",
    "CTR",
    "DSSM",
    "EASE",
    "FM",
    "HRM",
    "IALS",
    "JNTM",
    "PMF",
    "BiasedMF",
    "ContextEmbedding",
    "DeepContent",
    "Doc2Vec",
    "GRU4Rec",
    "ItemKNN",
    "MeanRating",
    "MultiViewDSSM",
    "PersonalFrequency",
    "Popularity",
    "Repeats",
    "SASRec",
    "Token2Vec",
    "YouTubeCandidates",
    "YouTubeRanker",
]
__getattr__, __dir__ = exporter(__name__, HOMES)
