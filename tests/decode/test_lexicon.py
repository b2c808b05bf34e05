"""The trie of words: each spelled as its tokens say, and no larger than they are."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from asr.decode.lexicon import Lexicon

LETTERS = "ab "


def spell(word):
    return [LETTERS.index(letter) for letter in word]


@given(st.lists(st.text("ab", min_size=1, max_size=6), min_size=1))
def test_each_word_is_found_by_its_tokens(words):
    lexicon = Lexicon.build(words, spell, LETTERS)
    assert len(lexicon.token) == 1 + len({word[:end] for word in words for end in range(1, len(word) + 1)})
    found = {}
    for node in range(len(lexicon.token)):
        children = lexicon.token[lexicon.first[node] : lexicon.first[node + 1]]
        assert (lexicon.parent[lexicon.first[node] : lexicon.first[node + 1]] == node).all()
        assert list(children) == sorted(set(children))
        if lexicon.word[node] >= 0:
            way, place = "", node
            while place > 0:
                way, place = LETTERS[lexicon.token[place]] + way, lexicon.parent[place]
            found[way] = lexicon.words[lexicon.word[node]]
    assert found == {word: word for word in words}


ONE_LONG_WORD = """
import resource
from itertools import islice, product
from asr.decode.lexicon import Lexicon

words = ["".join(letters) for letters in islice(product("abcdefghij", repeat=5), 50_000)]
spell = lambda word: [ord(letter) - ord("a") for letter in word]
Lexicon.build(words, spell, "abcdefghij")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Lexicon.build([*words, 5_000 * "a"], spell, "abcdefghij")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_one_long_word_takes_no_more_memory_than_its_own_letters():
    done = subprocess.run([sys.executable, "-c", ONE_LONG_WORD], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # KB; a row as long for each word would be 1,000,000
