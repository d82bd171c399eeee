"""Regular expressions of the library: in the page they find the same, or are refused."""

import random
import re

import pytest
from tokenizers import Regex, normalizers

from browser.javascript import needs_node
from browser.page_tokenizer import page
from whyformer.browser.patterns import javascript_pattern

_KNOWN = r"""
^a  a$  \Aa  a\z  ^  $  ^$  .  a.b  a|^b|c$  (a|b)+c  (?:ab|c){2,}  a+?b  a*?  a??b  a{2}  a{1,2}b
(?<!b.)a  (?<=\n)a  a(?!$)  \s+  \S+  \d  \D+  \P{L}+  \x{61}\x{1F600}?  [\x{61}-\x{63}]  [\s\d]
[a-c&&[^b]]  [^a-c&&[^b]]  [a-c&&b-d&&[bc]]  [\p{L}&&[^\p{Lu}]]  [ab[cd]]  [^ab[^bc]]  [\]\[\-\\^]  [a^]
['\"_~&]  [\n\r\t\f\v]  [́e]  é  \.\*\+\?\(\)\[\]\{\}\|\/\^\$  \#\-\~\&  a/b  [/|(){}.*+?$!#%,:;<=>@`]
"""
KNOWN = [*_KNOWN.split(), r"[^\S ]", r"a\ b", "\x00|\x85"]
_REFUSED = r"""
\w  \b  \h  \R  \X  \Z  \G  \K  \xAD  \u00ad  \0  \k<a>  \p{Alpha}  \p{^L}  \pL  \
(?i)a  (?>a)  (?<n>a)  (?#x)a  {,3}  *a
"""
_REFUSED_PART = r"""
a\bc \bc    (a)\1 \1    [[:alpha:]] [:alpha:]]    [a-\d] \d]    [-a] -a]    [a-] ]    []a] a]
a++ +    a*+b +b    a{2}? ?    a{2}{3} {3}    a|+ +    ^* *    (?=a)? ?    a)b )b    a} }    a] ]
"""
_PARTS = _REFUSED_PART.split()
REFUSED = [
    *((pattern, pattern) for pattern in _REFUSED.split()),
    *zip(_PARTS[::2], _PARTS[1::2], strict=True),
    *((pattern, pattern) for pattern in ("[a", "(a", "[]", "[&&a]")),
]
"""Patterns, and what is named in them."""


@needs_node
def test_a_pattern_finds_in_the_page_what_it_finds_in_the_library():
    letters = "aabbccdA1é ́^$.*+?()[]{}|/\\-#~&'\"_!,:;<=>@`%\n\n\r\t\v\f\x85\u2028\ufeff\x00😀"
    drawn = random.Random(4)
    texts = ["".join(drawn.choices(letters, k=drawn.randrange(9))) for _ in range(400)]
    texts += ["aab\nab", "a b", "a\n", "\na", ".*+?()[]{}|/^$", "#-~&", "abcabc", ""]
    jobs = ({"kind": "replaced", "pattern": javascript_pattern(each), "texts": texts} for each in KNOWN)
    for pattern, made in zip(KNOWN, page(*jobs), strict=True):
        library = normalizers.Replace(Regex(pattern), "$&|")
        assert made == [library.normalize_str(text) for text in texts], pattern


@pytest.mark.parametrize(("pattern", "named"), REFUSED)
def test_a_sign_that_is_not_known_is_refused(pattern: str, named: str):
    with pytest.raises(ValueError, match=f"^{re.escape(named)}$"):
        javascript_pattern(pattern)
