"""Names and sentence patterns of the sample data: data only, make_sample_data.py fills them in.

Everything here is made up: names are put together from parts at random, and the sentences are
ours. A name that is also borne by someone is a coincidence.

A pattern is Korean text with three kinds of marks:

* `{subject:은/는}` is a name followed by the form of the particle that fits it. Beside `subject`
  and `object` any key of `KINDS` may stand there: a freshly drawn name that is not marked, so
  that a model cannot get by on "there is a company in the sentence".
* `{:을/를}` is a particle for whatever text precedes it, as in `《{object}》{:을/를}`.
* `[설립|창업]` is one of the alternatives, chosen at random before names are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass

# ruff: noqa: E501  (a sentence pattern stays on one line; Hangul counts as two columns)

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """One way to make a name: one choice of every part, written one after the other."""

    parts: tuple[Parts, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Kind:
    """Names of one sort. `entity_type` is KLUE's: PER, ORG, LOC, DAT, POH (other) or NOH (number).

    `derived` says that a name is made from the subject's: "relative" shares the family name,
    "alias" is another spelling of all its parts.
    """

    entity_type: str
    forms: tuple[Form, ...] = ()
    derived: str = ""


@dataclass(frozen=True)
class PatternSet:
    """Patterns that share the kinds of their two entities, drawn from the ones named."""

    subject: Parts
    object: Parts
    texts: Parts


def _words(text: str) -> Parts:
    return tuple(text.split())


# ---- people -------------------------------------------------------------------------------------

FAMILY_NAMES = _words(
    "김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황 안 송 홍 유 고 문 양 손 배 백 허 남 심 노 "
    "하 곽 성 차 주 우 구 민 진 나"
)
# names that suit women and men alike, since the patterns do not know which one they speak of
GIVEN_NAMES = _words(
    "도율 서한 은결 시온 지율 태율 선율 민결 한결 은찬 해민 수안 재하 윤슬 세인 다온 이든 지안 "
    "유안 서담 태린 규원 민하 연우 시현 동하 영채 경림 인서 채운 예준 나율 건후 하진 재륜 승담 "
    "우경 민솔 서결 도훤 이솔 해원 찬결 윤담 로아 태겸 아람 예담 보담 서우 하율 나온 이루 솔하 "
    "현비 주하 시우 재인 해윤 다율 서진 예서 지온 도아 라율 유하 이재 서율 가율 미담 소율 은호 세온"
)
FOREIGN_GIVEN_NAMES = _words(
    "엘린 마르코 요나스 레아 다니오 카림 소피엘 안톤 루시아 이반 니콜라 하산 아밀 토비아스 에바 "
    "로렌 미카 클라라 라피 오스카 빈첸 마틸다 요셉 아녜스 케빈"
)
FOREIGN_FAMILY_NAMES = _words(
    "바르켄 델리안 호프네르 모렌츠 카사리 빌론 스테른 아르디 로세티노 파블렌코 다르무니 켈러만 "
    "하르트윈 두보렐 라만디 올센버그 가르비스 린드볼 오카모리 세르반"
)
STAGE_NAMES = (
    *_words(
        "별하 린우 모아 달음 온담 하늬 유월 해거름 제이로 카이런 노바 청람 운곡 송암 죽헌 남계"
    ),
    *_words("석담 백천 소정 현곡 새벽빛 늘봄 단아 J-Rin NOVEL 라임K Seon.D 유니콘"),
    *("DJ 모아", "MC 두리", "DJ 하루", "MC 설"),
)

# ---- organisations ------------------------------------------------------------------------------

COMPANY_STEMS = {  # Korean: (English, initials)
    "해담": ("Haedam", "HD"),
    "새론": ("Saeron", "SR"),
    "가람": ("Garam", "GR"),
    "미르온": ("Mireon", "MR"),
    "누리봄": ("Nuribom", "NB"),
    "청솔": ("Cheongsol", "CS"),
    "라온": ("Raon", "RO"),
    "이음": ("Ieum", "IE"),
    "도담": ("Dodam", "DD"),
    "나래": ("Narae", "NR"),
    "아라솔": ("Arasol", "AS"),
    "태림": ("Taerim", "TR"),
    "백산": ("Baeksan", "BS"),
    "한울": ("Hanul", "HU"),
    "소담": ("Sodam", "SD"),
    "온누리": ("Onnuri", "ON"),
    "다솔": ("Dasol", "DS"),
    "진명": ("Jinmyeong", "JM"),
    "세봄": ("Sebom", "SB"),
    "두레": ("Dure", "DR"),
    "금담": ("Geumdam", "GD"),
    "윤성": ("Yunseong", "YS"),
    "한터": ("Hanteo", "HT"),
    "우림": ("Urim", "UR"),
    "남선": ("Namseon", "NS"),
    "바른": ("Bareun", "BR"),
    "솔찬": ("Solchan", "SC"),
    "태송": ("Taesong", "TS"),
    "영담": ("Yeongdam", "YD"),
    "해밀": ("Haemil", "HM"),
    "마루": ("Maru", "MU"),
    "가온": ("Gaon", "GO"),
}
MAKERS = {  # what a company that sells appliances may be called
    "전자": ("Electronics", "E"),
    "모터스": ("Motors", "M"),
    "로보틱스": ("Robotics", "R"),
    "통신": ("Telecom", "T"),
    "소프트": ("Soft", "S"),
    "게임즈": ("Games", "G"),
}
OTHER_TRADES = {
    "건설": ("Construction", "C"),
    "제약": ("Pharm", "P"),
    "식품": ("Foods", "F"),
    "화학": ("Chemical", "C"),
    "물산": ("Trading", "T"),
    "에너지": ("Energy", "N"),
    "바이오": ("Bio", "B"),
    "항공": ("Air", "A"),
}
TRADES = MAKERS | OTHER_TRADES

AGENCY_HEADS = {"한국": "K", "전국": "N"}
AGENCY_FIELDS = {
    "기후생태": "CE",
    "해양문화": "MC",
    "생활과학": "LS",
    "도시재생": "UR",
    "청년문화": "YC",
    "전통음식": "TF",
    "우주환경": "SE",
    "산림치유": "FH",
    "디지털윤리": "DE",
    "골목상권": "LM",
    "미래교통": "FT",
    "독서문화": "RC",
}
AGENCY_SORTS = {"연구원": "I", "협회": "A", "재단": "F", "진흥회": "P"}

# Other spellings of a name's parts: an alias is a name spelled part by part from one of these.
SPELLINGS: tuple[tuple[str, dict[str, str]], ...] = (  # (what stands between parts, part: spelling)
    (" ", {part: english for part, (english, _) in (COMPANY_STEMS | TRADES).items()}),
    ("", {part: initials for part, (_, initials) in (COMPANY_STEMS | TRADES).items()}),
    ("", {part: part for part in COMPANY_STEMS} | dict.fromkeys(TRADES, "")),
    ("", AGENCY_HEADS | AGENCY_FIELDS | AGENCY_SORTS),
    ("", {part: part[0] for part in (*AGENCY_HEADS, *AGENCY_FIELDS, *AGENCY_SORTS)}),
)


def _spelled(parts: dict[str, tuple[str, str]], index: int) -> Parts:
    return tuple(spellings[index] for spellings in parts.values())


def _company_forms(trades: dict[str, tuple[str, str]]) -> tuple[Form, ...]:
    """Full names, and now and then a short one, so that those are no sign of an alias."""
    return (
        Form((tuple(COMPANY_STEMS), tuple(trades)), 0.82),
        Form((_spelled(COMPANY_STEMS, 1), _spelled(trades, 1)), 0.08),
        Form((_spelled(COMPANY_STEMS, 0), (" ",), _spelled(trades, 0)), 0.06),
        Form((tuple(COMPANY_STEMS),), 0.04),
    )


_FULL_AGENCY = Form((tuple(AGENCY_HEADS), tuple(AGENCY_FIELDS), tuple(AGENCY_SORTS)), 0.86)

SCHOOL_STEMS = (
    *COMPANY_STEMS,
    "솔빛",
    "한빛내",
    "은하",
    "들꽃",
    "청운재",
    "새빛",
    "늘푸른",
    "무원",
)
BAND_FIRST = _words("루나 새벽 네온 코발트 오로라 슈가 모노 라임 파도 소금 제로 비밀 초록 달빛")
BAND_SECOND = _words("파인 클럽 스텝 에코 하버 노트 라인 보이스 정류장 서커스 가든 밴드")
CLUB_NAMES = _words("서퍼스 팔콘스 브리즈 레인저스 스타즈 피닉스 웨일즈 라이노스 코멧츠")
LEAGUE_HEADS = _words("한국 코리아 아시아 동해 남부 태평양")
LEAGUE_NAMES = _words("슈퍼리그 드림리그 챌린지리그 마스터즈리그 새싹리그")
PARTY_FIRST = _words("국민 시민 푸른 민생 녹색 미래 한겨레 새길 통합 자주")
PARTY_SECOND = ("내일당", "화합당", "한마음당", "도약당", "동행당", "연대당", "희망당", "전진당")
ALLIANCE_HEADS = _words("전국 동북아 아시아태평양 한반도 남부권 수도권 세계")
ALLIANCE_FIELDS = _words("시민단체 지방대학 중소기업 환경단체 문화예술 언론인 청년단체 출판")
ALLIANCE_SORTS = _words("연합 협의회 연대 연맹 총연합회")
RELIGIONS = _words(
    "불교 천주교 개신교 원불교 이슬람교 힌두교 성공회 정교회 유대교 천도교 감리교 장로교"
)

# ---- places, times, things, numbers -------------------------------------------------------------

CITIES = _words(
    "강릉 춘천 원주 속초 삼척 청주 충주 제천 대전 천안 공주 보령 전주 군산 익산 남원 광주 목포 "
    "여수 순천 나주 대구 안동 경주 포항 구미 부산 창원 통영 김해 울산 제주 수원 성남 용인 파주 인천 서울"
)
COUNTIES = (
    *("전라남도 담양군", "전라남도 해남군", "경상북도 봉화군", "경상북도 울진군", "강원도 정선군"),
    *("충청남도 홍성군", "충청북도 단양군", "경상남도 하동군", "전라북도 고창군", "경기도 양평군"),
)
WORLD_CITIES = _words(
    "런던 파리 뮌헨 도쿄 오사카 시드니 밴쿠버 보스턴 시카고 토론토 프라하 하노이 상하이 바르셀로나 "
    "로마 암스테르담 취리히 더블린 리스본"
)
COUNTRIES = _words(
    "미국 영국 프랑스 독일 일본 중국 캐나다 호주 스페인 이탈리아 스웨덴 브라질 베트남 인도 "
    "네덜란드 폴란드 핀란드 튀르키예 아르헨티나 멕시코 이집트 노르웨이"
)

_MONTHS = tuple(f"{month}월" for month in range(1, 13))
_DAYS = tuple(f"{day}일" for day in range(1, 29))


def _date_forms(first_year: int, last_year: int) -> tuple[Form, ...]:
    years = tuple(f"{year}년" for year in range(first_year, last_year + 1))
    return (
        Form((years, (" ",), _MONTHS, (" ",), _DAYS), 0.6),
        Form((years, (" ",), _MONTHS), 0.15),
        Form((years,), 0.25),
    )


WORK_FIRST = (
    *_words("푸른 잊힌 먼 고요한 마지막 오래된 낯선 젖은 하얀 느린 겨울의 여름의 바다의 어머니의"),
    *("이름 없는", "눈 내린", "길 위의", "아무도 모르는"),
)
WORK_SECOND = _words(
    "정거장 새벽 지도 우체국 편지 강물 골목 정원 노래 등대 계절 그림자 항구 서랍 창문 약속 나루"
)
PRODUCT_BRANDS = _words(
    "루미 오르빗 세이렌 노바리 블루핀 에어론 토리 미르덱 클로버 온새 Lumo Orca 하늘결 참빛 리플"
)
PRODUCT_MODELS = (" 3", " 5", " 7", " 8", " 10", " 프로", " 에어", " X1", " S2", " 미니", " 플러스")
OCCUPATIONS = (
    *_words(
        "소설가 시인 화가 배우 작곡가 영화감독 변호사 건축가 기상학자 역사학자 생물학자 언론인"
    ),
    *_words(
        "사진작가 바이올리니스트 피아니스트 번역가 기업인 정치인 외교관 교육자 물리학자 만화가"
    ),
    *_words("방송인 안무가 조각가 요리사 산악인 가수 경제학자 평론가 무용가 아동문학가"),
    *("축구 선수", "배구 선수", "시민운동가", "유리 공예가"),
)
POSITIONS = _words(
    "대표이사 회장 부회장 이사장 사무총장 원장 사장 상임고문 수석연구원 홍보부장 본부장 자문위원 "
    "부사장 상무 운영위원장 기획실장"
)

_DIGITS = _words("1 2 3 4 5 6 7 8 9")
_PEOPLE = ("명", "여 명")
_HUNDREDS = ("00", "20", "40", "50", "60", "80")

_KOREAN = Form((FAMILY_NAMES, GIVEN_NAMES), 0.88)
_FOREIGN = Form((FOREIGN_GIVEN_NAMES, (" ",), FOREIGN_FAMILY_NAMES), 0.08)

KINDS: dict[str, Kind] = {
    "person": Kind("PER", (_KOREAN, _FOREIGN, Form((STAGE_NAMES,), 0.04))),
    "korean": Kind("PER", (_KOREAN,)),
    "foreigner": Kind("PER", (_FOREIGN,)),
    "stage_name": Kind("PER", (Form((STAGE_NAMES,)),)),
    "relative": Kind("PER", derived="relative"),
    "company": Kind("ORG", _company_forms(TRADES)),
    "maker": Kind("ORG", _company_forms(MAKERS)),
    "full_company": Kind("ORG", _company_forms(TRADES)[:1]),
    "agency": Kind(
        "ORG",
        (
            _FULL_AGENCY,
            Form((("K", "N"), tuple(AGENCY_FIELDS.values()), tuple(AGENCY_SORTS.values())), 0.07),
            Form((("한", "전"), _words("기 해 생 도 청 산 미 독"), _words("연 협 재 진")), 0.07),
        ),
    ),
    "full_agency": Kind("ORG", (_FULL_AGENCY,)),
    "alias": Kind("ORG", derived="alias"),
    "university": Kind("ORG", (Form((SCHOOL_STEMS, ("대학교", "예술대학교", "과학기술대학교"))),)),
    "school": Kind("ORG", (Form((SCHOOL_STEMS, ("고등학교", "중학교", "예술고등학교"))),)),
    "band": Kind("ORG", (Form((BAND_FIRST, BAND_SECOND)),)),
    "club": Kind("ORG", (Form((CITIES, (" ",), CLUB_NAMES)),)),
    "league": Kind("ORG", (Form((LEAGUE_HEADS, LEAGUE_NAMES)),)),
    "group": Kind("ORG", (Form((tuple(COMPANY_STEMS), ("그룹",))),)),
    "party": Kind("ORG", (Form((PARTY_FIRST, PARTY_SECOND)),)),
    "alliance": Kind("ORG", (Form((ALLIANCE_HEADS, ALLIANCE_FIELDS, ALLIANCE_SORTS)),)),
    "religion": Kind("ORG", (Form((RELIGIONS,)),)),
    "city": Kind(
        "LOC",
        (
            Form((CITIES,), 0.5),
            Form((CITIES, ("시",)), 0.2),
            Form((COUNTIES,), 0.15),
            Form((WORLD_CITIES,), 0.15),
        ),
    ),
    "country": Kind("LOC", (Form((COUNTRIES,)),)),
    "home_city": Kind("LOC", (Form((CITIES,)),)),
    "date": Kind("DAT", _date_forms(1950, 2020)),
    "day": Kind("DAT", _date_forms(1950, 2020)[:1]),
    "birth_date": Kind("DAT", _date_forms(1905, 1995)),
    "birthday": Kind("DAT", _date_forms(1905, 1995)[:1]),
    # the earlier and the later one of two dates in a sentence
    "early_date": Kind("DAT", _date_forms(1905, 1955)),
    "late_date": Kind("DAT", _date_forms(1975, 2020)),
    "occupation": Kind("POH", (Form((OCCUPATIONS,)),)),
    "position": Kind("POH", (Form((POSITIONS,)),)),
    "work": Kind("POH", (Form((WORK_FIRST, (" ",), WORK_SECOND)),)),
    "product": Kind("POH", (Form((PRODUCT_BRANDS, PRODUCT_MODELS)),)),
    "headcount": Kind(
        "NOH",
        (
            Form((_DIGITS, (",",), _DIGITS, _HUNDREDS, _PEOPLE), 0.35),
            Form((_DIGITS, _HUNDREDS, _PEOPLE), 0.45),
            Form((_DIGITS, ("만 ",), _DIGITS, ("천",), ("명", "여 명")), 0.2),
        ),
    ),
    "few": Kind("NOH", (Form((("네 명", "다섯 명", "6명", "7명", "여덟 명", "9명", "12명"),)),)),
}

# ---- clauses that go with every relation --------------------------------------------------------

LEAD_INS = (
    "공개된 자료에 따르면 ",
    "향토 사료에 따르면 ",
    "여러 기록을 종합하면 ",
    "널리 알려진 바와 같이 ",
    "온라인 백과사전에 따르면 ",
    "홈페이지에 실린 소개 글에 따르면 ",
    "지난주 방송된 다큐멘터리에 따르면 ",
    "한 지역 신문의 보도에 따르면 ",
    "도서관에 보관된 문헌에 따르면 ",
    "{agency:이/가} 펴낸 자료집에 따르면 ",
    "{korean} 기자의 보도에 따르면 ",
    "{korean} 교수의 연구에 따르면 ",
    "{company:이/가} 후원한 조사에 따르면 ",
    "{city} 지역 언론에 따르면 ",
    "{korean:이/가} 엮은 연감에 따르면 ",
)
TRAILS = (
    " 이 내용은 지난달 방송에서도 다뤄졌다.",
    " 당시 언론도 이를 비중 있게 전했다.",
    " 자세한 경위는 아직 알려지지 않았다.",
    " 다만 일부 자료에는 다르게 적혀 있다.",
    " 이 이야기는 훗날 여러 매체에 소개됐다.",
    " 이에 대해 {person:은/는} 별다른 언급을 하지 않았다.",
    " {person:은/는} 자신의 글에서 이 대목을 길게 다뤘다.",
    " 이 사실은 {korean} 기자의 취재로 널리 알려졌다.",
    " 관련 기록은 {city}의 한 도서관에 보관되어 있다.",
    " {agency:은/는} 이를 정리해 보고서로 펴냈다.",
    " 이 소식은 {company:이/가} 펴내는 소식지에도 실렸다.",
    " {university} 연구진도 같은 내용을 확인했다.",
)

# ---- the 30 relations ---------------------------------------------------------------------------

_PERSON = ("person",)
_WORKPLACES = ("company", "agency")
_ANY_ORGANISATION = (
    "company",
    "agency",
    "club",
    "party",
    "band",
    "alliance",
    "university",
    "school",
    "group",
    "league",
)

PATTERNS: dict[str, tuple[PatternSet, ...]] = {
    "org:top_members/employees": (
        PatternSet(
            ("company",),
            _PERSON,
            (
                "{subject} {object} [대표|회장|사장]{:은/는} 신년사에서 [해외 진출|인재 육성]을 강조했다.",
                "{object:은/는} {date} {subject}의 [대표이사|사장|회장]{:으로/로} 선임됐다.",
                "{subject:을/를} 이끄는 {object} [대표|회장]{:은/는} {city:을/를} 찾아 현장을 둘러봤다.",
                "{subject:은/는} 이사회를 열고 {object:을/를} 새 [대표|사장]{:으로/로} 선출했다.",
            ),
        ),
        PatternSet(
            ("agency",),
            _PERSON,
            (
                "{person}의 뒤를 이어 {object:이/가} {subject}의 [대표|이사장] 자리에 올랐다.",
                "{subject} {object} 이사장은 {city}에서 열린 행사에서 축사를 했다.",
            ),
        ),
        PatternSet(
            ("party",),
            _PERSON,
            (
                "{subject} 대표 {object:은/는} {city} 유세에서 지지를 호소했다.",
                "{object:이/가} 당 대표를 맡은 뒤 {subject}의 지지율이 크게 올랐다.",
            ),
        ),
        PatternSet(
            ("club",),
            _PERSON,
            (
                "{subject}의 [사령탑|감독] {object:은/는} 경기가 끝난 뒤 선수들을 칭찬했다.",
                "{object} 감독이 지휘하는 {subject:은/는} 안방에서 4연승을 달렸다.",
            ),
        ),
    ),
    "org:members": (
        PatternSet(
            ("group",),
            ("company",),
            (
                "{subject}에는 {object:과/와} {company} 등이 [속해|소속되어] 있다.",
                "{subject:은/는} {object:을/를} 비롯해 여러 계열사를 거느리고 있다.",
                "{object:을/를} 계열사로 둔 {subject:은/는} 올해 채용 규모를 늘리기로 했다.",
                "{subject}의 [계열사|자회사]인 {object:은/는} {city}에 새 공장을 짓고 있다.",
            ),
        ),
        PatternSet(
            ("alliance",),
            ("company", "agency", "university"),
            (
                "{object:이/가} 가입하면서 {subject}의 회원은 모두 열두 곳이 됐다.",
                "{subject:은/는} {date} 총회를 열어 {object:을/를} 새 회원으로 받아들였다.",
            ),
        ),
        PatternSet(
            ("league",),
            ("club",),
            (
                "{subject} 소속 구단인 {object:은/는} {person:을/를} 새로 영입했다.",
                "{object:은/는} {club:과/와} 함께 {subject:을/를} 대표하는 구단으로 꼽힌다.",
            ),
        ),
    ),
    "org:member_of": (
        PatternSet(
            ("company",),
            ("group",),
            (
                "{object}에는 {subject:과/와} {company} 등이 [속해|소속되어] 있다.",
                "{object}의 [계열사|자회사]인 {subject:은/는} {city}에 새 공장을 짓고 있다.",
                "{subject:은/는} {object}의 계열사로, {person:이/가} 경영을 맡고 있다.",
            ),
        ),
        PatternSet(
            ("company", "agency", "university"),
            ("alliance",),
            (
                "{subject:은/는} {date} {object}에 [가입했다|정식으로 가입했다].",
                "{object:은/는} {date} 총회를 열어 {subject:을/를} 새 회원으로 받아들였다.",
                "{subject:은/는} {object}의 회원 자격으로 {city} 총회에 참석했다.",
            ),
        ),
        PatternSet(
            ("club",),
            ("league",),
            (
                "{object} 소속 구단인 {subject:은/는} {person:을/를} 새로 영입했다.",
                "{subject:은/는} {city} 구단이 빠진 자리를 채우며 {object}에 합류했다.",
            ),
        ),
    ),
    "org:product": (
        PatternSet(
            ("maker",),
            ("product",),
            (
                "{subject:은/는} {city}에서 [신제품|차세대 모델] {object:을/를} [공개했다|출시했다].",
                "{object:은/는} {subject:이/가} [개발한|내놓은|만든] 제품으로, 젊은 층에서 인기가 높다.",
                "{subject}의 대표 제품인 {object:은/는} 출시 한 달 만에 모두 팔렸다.",
                "{person:은/는} {subject:이/가} 만든 {object:을/를} 5년째 쓰고 있다.",
                "{object} 판매가 늘면서 제조사인 {subject}의 실적도 크게 나아졌다.",
            ),
        ),
        PatternSet(
            ("band",),
            ("work",),
            (
                "{subject:은/는} {date} 정규 음반 《{object}》{:을/를} 발표했다.",
                "《{object}》{:은/는} {subject}의 [두 번째|세 번째] 음반으로, {person:이/가} 제작을 맡았다.",
            ),
        ),
    ),
    "org:founded": (
        PatternSet(
            _WORKPLACES,
            ("date",),
            (
                "{subject:은/는} {object} {person:이/가} {city}에 [설립했다|세웠다].",
                "{object}에 설립된 {subject:은/는} {city}에 본부를 두고 있다.",
                "{person:이/가} {city}에서 {subject:을/를} 세운 것은 {object}의 일이다.",
                "{subject}({object} 설립){:은/는} {city:을/를} 중심으로 활동하고 있다.",
            ),
        ),
        PatternSet(
            ("company", "university"),
            ("day",),
            ("{subject}의 창립일은 {object:이며/며}, 설립 당시의 터는 {city}에 있었다.",),
        ),
        PatternSet(
            ("school", "university"),
            ("date",),
            ("{subject:은/는} {object} 개교했으며, {person:이/가} 초대 이사장을 지냈다.",),
        ),
        PatternSet(
            ("band",),
            ("date",),
            ("{object} 결성된 {subject:은/는} 첫 음반으로 이름을 알렸다.",),
        ),
        PatternSet(
            ("party", "alliance"),
            ("early_date",),
            ("{subject:은/는} {object} [창립되어|출범하여] {late_date} 해산되었다.",),
        ),
    ),
    "org:dissolved": (
        PatternSet(
            ("party", "alliance"),
            ("late_date",),
            (
                "{subject:은/는} {early_date} [창립되어|출범하여] {object} 해산되었다.",
                "내부 갈등을 겪던 {subject:은/는} 결국 {object} 해산을 선언했다.",
            ),
        ),
        PatternSet(
            ("party", "alliance", "agency"),
            ("date",),
            (
                "{object} [해산된|해체된] {subject:은/는} {person:이/가} 오랫동안 이끌던 곳이었다.",
                "{subject}({object} 해산){:은/는} {city:을/를} 중심으로 활동했다.",
            ),
        ),
        PatternSet(
            ("company",),
            ("date",),
            (
                "재정난에 시달리던 {subject:은/는} {object} 문을 닫았다.",
                "{object}, {subject:은/는} {company}에 흡수 합병되면서 사라졌다.",
            ),
        ),
        PatternSet(
            ("band", "club"),
            ("date",),
            ("{subject:은/는} {object} {city}에서 고별 행사를 열고 해체했다.",),
        ),
        PatternSet(
            ("school",),
            ("date",),
            ("{object} 폐교된 {subject:은/는} {person:을/를} 비롯한 많은 졸업생을 배출했다.",),
        ),
    ),
    "org:founded_by": (
        PatternSet(
            ("company",),
            _PERSON,
            (
                "{subject:은/는} {object:이/가} {date}에 [세운|창업한] 회사다.",
                "{object:은/는} {date} {city}에서 {subject:을/를} [설립|창업]했다.",
                "{subject}의 [설립자|창업주]인 {object:은/는} {city}에 미술관을 지어 기증했다.",
                "{subject:은/는} {object:과/와} {person:이/가} 함께 창업한 회사다.",
            ),
        ),
        PatternSet(
            ("school", "university"),
            _PERSON,
            (
                "{object:이/가} 사재를 털어 세운 {subject:은/는} 많은 인재를 길러 냈다.",
                "{subject:은/는} {date} {object:이/가} {city}에 세운 학교다.",
            ),
        ),
        PatternSet(
            ("party", "agency"),
            _PERSON,
            ("{object:은/는} {person} 등과 뜻을 모아 {date} {subject:을/를} [창립했다|만들었다].",),
        ),
    ),
    "org:place_of_headquarters": (
        PatternSet(
            ("company",),
            ("city",),
            (
                "{subject:은/는} {object}에 본사를 [두고 있다|둔 중견 기업이다].",
                "{object}에 본사를 둔 {subject:은/는} 지난해 매출이 크게 늘었다.",
                "{subject}의 [본사|본점]{:은/는} {object}에 [있으며|자리하고 있으며], {person:이/가} 대표를 맡고 있다.",
                "{subject:은/는} {date} 본사를 {city}에서 {object:으로/로} 옮겼다.",
            ),
        ),
        PatternSet(
            ("agency", "alliance"),
            ("city",),
            (
                "{object}에 사무국을 둔 {subject:은/는} 회원들을 위한 교육을 진행했다.",
                "{object} 소재 {subject:은/는} {person:을/를} 초청해 강연회를 열었다.",
                "{subject}의 본부는 {object}에 있다가 {late_date} 문을 닫았다.",
            ),
        ),
        PatternSet(
            ("university",),
            ("city",),
            ("{subject:은/는} {object}에 [자리한|위치한] 사립 대학으로, {date} 문을 열었다.",),
        ),
    ),
    "org:alternate_names": (
        PatternSet(
            ("full_company", "full_agency"),
            ("alias",),
            (
                "{subject}({object}){:은/는} {city}에서 기자 간담회를 열었다.",
                "{city}에 있는 {subject:은/는} [흔히|짧게] {object:이라고/라고} 불린다.",
                "{object:은/는} {subject}의 [다른 이름이다|또 다른 이름이다].",
                "{object:으로/로} 더 잘 알려진 {subject:은/는} {person:을/를} 홍보 대사로 위촉했다.",
                "‘{object}’{:이라는/라는} 이름으로도 불리는 {subject:은/는} 올해 행사를 취소했다.",
                "{subject:은/는} {date}부터 {object:이라는/라는} 이름을 함께 쓰고 있다.",
                "{person:은/는} {object}, 즉 {subject:을/를} 찾아 강연을 했다.",
            ),
        ),
    ),
    "org:political/religious_affiliation": (
        PatternSet(
            ("school", "university"),
            ("religion",),
            (
                "{subject:은/는} {object} 계열의 [사립 학교다|교육 기관이다].",
                "{object} 재단이 운영하는 {subject:은/는} {city}에 새 교정을 마련했다.",
                "{subject:은/는} {object} 정신을 바탕으로 {date} {person:이/가} 세웠다.",
                "{object} 계통의 학교인 {subject:은/는} {person:을/를} 새 이사장으로 맞았다.",
            ),
        ),
        PatternSet(
            ("agency",),
            ("religion",),
            ("{object}에 뿌리를 둔 {subject:은/는} {city}에서 봉사 활동을 이어 오고 있다.",),
        ),
        PatternSet(
            ("alliance", "agency"),
            ("party",),
            (
                "{subject:은/는} {object:을/를} 공개적으로 지지해 온 단체다.",
                "{object} 성향의 단체인 {subject:은/는} {city}에서 집회를 열었다.",
                "{subject:은/는} {object}의 노선을 따르며, {person:이/가} 대표를 맡고 있다.",
            ),
        ),
    ),
    "org:number_of_employees/members": (
        PatternSet(
            ("company",),
            ("headcount",),
            (
                "{subject:은/는} 직원 {object:을/를} [두고 있다|거느린 회사다].",
                "{subject}의 [임직원|직원] 수는 모두 {object:이다/다}.",
                "현재 {object}의 [직원|임직원]이 {subject}에서 일하고 있다.",
                "직원이 {object:이며/며} {city}에 본사가 있는 {subject:은/는} 올해 상장을 준비한다.",
            ),
        ),
        PatternSet(
            ("agency", "alliance", "party"),
            ("headcount",),
            (
                "{object}의 회원을 둔 {subject:은/는} {person:을/를} 대표로 뽑았다.",
                "{subject}에는 {date} 기준으로 {object:이/가} 가입해 있었다.",
            ),
        ),
        PatternSet(
            ("band",),
            ("few",),
            (
                "{subject:은/는} {object:으로/로} 이루어진 그룹으로, {city}에서 첫 공연을 했다.",
                "구성원이 {object}인 {subject:은/는} {date} 첫 음반을 냈다.",
            ),
        ),
    ),
    "per:title": (
        PatternSet(
            _PERSON,
            ("occupation",),
            (
                "{subject:은/는} [오랫동안 활동해 온|널리 알려진|{city}에서 활동하는] {object:이다/다}.",
                "{object} {subject:이/가} {city}에서 [자선 행사를|강연회를] 열었다.",
                "{subject:은/는} {company:을/를} 그만둔 뒤 {object:으로/로} [활동하고 있다|전업했다].",
                "[신예|원로|중견] {object} {subject:은/는} {person:과/와} 함께 연단에 올랐다.",
                "{object}인 {subject:은/는} {date} {city:을/를} 방문했다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("position",),
            (
                "{subject} {object:은/는} {city}에서 열린 간담회에서 앞으로의 계획을 밝혔다.",
                "{company:은/는} {subject:을/를} 신임 {object:으로/로} 선임했다.",
                "{subject:은/는} {date}부터 {agency}에서 {object:을/를} 지냈다.",
            ),
        ),
    ),
    "per:employee_of": (
        PatternSet(
            _PERSON,
            _WORKPLACES,
            (
                "{subject:은/는} {object}에서 [연구원|회계사|디자이너]{:으로/로} 일하고 있다.",
                "{object} 소속 [연구원|직원]인 {subject:은/는} {city}에서 연구 결과를 발표했다.",
                "{subject:은/는} {date} {object}에 입사해 [기획|홍보] 부서에서 근무했다.",
                "{object}에 재직 중인 {subject:은/는} {person:과/와} 함께 책을 펴냈다.",
                "{object} [직원|홍보 담당자] {subject:은/는} 취재진에게 경위를 설명했다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("club",),
            (
                "{subject:은/는} {date}부터 {object}에서 주전 선수로 뛰고 있다.",
                "{object:은/는} {person:을/를} 내보내고 {subject:과/와} 3년 계약을 맺었다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("school", "university"),
            ("{subject:은/는} {object}에서 학생들을 가르치고 있다.",),
        ),
    ),
    "per:product": (
        PatternSet(
            _PERSON,
            ("work",),
            (
                "{subject:은/는} {date} [장편 소설|시집|산문집] 《{object}》{:을/를} [펴냈다|발표했다].",
                "《{object}》{:은/는} {subject:이/가} {city}에 머물며 쓴 [소설이다|작품이다].",
                "영화 〈{object}〉{:은/는} {subject} 감독의 [데뷔작|최신작]으로, {person:이/가} 주연을 맡았다.",
                "{subject:이/가} 작곡한 〈{object}〉{:은/는} {person:이/가} 불러 큰 인기를 얻었다.",
                "{subject}의 그림 〈{object}〉{:이/가} {city} 미술관에서 처음 공개됐다.",
                "소설 《{object}》의 작가 {subject:은/는} 독자들과 만나는 자리를 마련했다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("product",),
            ("{subject:이/가} 발명한 {object:은/는} {maker:을/를} 통해 판매되고 있다.",),
        ),
    ),
    "per:date_of_birth": (
        PatternSet(
            _PERSON,
            ("birth_date",),
            (
                "{subject:은/는} {object} {city}에서 [태어났다|출생했다].",
                "{object} {city}에서 태어난 {subject:은/는} 어릴 때부터 책을 좋아했다.",
                "{subject}({object} 출생){:은/는} {city}에서 활동하는 {occupation:이다/다}.",
                "{person}의 제자인 {subject:은/는} {object}생으로 알려져 있다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("birthday",),
            ("{subject}의 생년월일은 {object:이며/며}, 고향은 {city:이다/다}.",),
        ),
        PatternSet(
            _PERSON,
            ("early_date",),
            (
                "{subject}({object} ~ {late_date}){:은/는} {city}에서 활동한 {occupation:이다/다}.",
                "{object}에 태어난 {subject:은/는} {late_date} {city}에서 세상을 떠났다.",
            ),
        ),
    ),
    "per:date_of_death": (
        PatternSet(
            _PERSON,
            ("date",),
            (
                "{subject:은/는} {object} {city}에서 [숨을 거두었다|별세했다|세상을 떠났다].",
                "{object} {subject:이/가} 별세하자 {person:은/는} 추도사를 낭독했다.",
                "{subject:은/는} 지병이 악화되어 {object} 눈을 감았다.",
                "{subject}({object} 사망){:은/는} {city}에서 활동하던 {occupation:이다/다}.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("day",),
            ("{subject}의 사망일은 {object:이며/며}, 장례는 {city}에서 치러졌다.",),
        ),
        PatternSet(
            _PERSON,
            ("late_date",),
            (
                "{subject}({early_date} ~ {object}){:은/는} {city}에서 활동한 {occupation:이다/다}.",
                "{early_date}에 태어난 {subject:은/는} {object} {city}에서 세상을 떠났다.",
            ),
        ),
    ),
    "per:place_of_birth": (
        PatternSet(
            _PERSON,
            ("city",),
            (
                "{subject:은/는} {date} {object}에서 [태어났다|출생했다].",
                "{object}에서 태어난 {subject:은/는} 열 살 때 {city:으로/로} 이사했다.",
                "{subject}의 [출생지|고향]{:은/는} {object:이며/며}, 학창 시절은 {city}에서 보냈다.",
                "{object} 태생인 {subject:은/는} {company}에서 일하며 이름을 알렸다.",
                "{subject:은/는} {object}에서 나고 {city}에서 자랐다.",
                "{object:은/는} {occupation} {subject:이/가} 태어난 곳으로 유명하다.",
            ),
        ),
    ),
    "per:place_of_death": (
        PatternSet(
            _PERSON,
            ("city",),
            (
                "{subject:은/는} {date} {object}에서 [숨을 거두었다|별세했다|세상을 떠났다].",
                "{object}에서 생을 마감한 {subject:은/는} {city}에 안장됐다.",
                "{city}에서 태어난 {subject:은/는} {object}의 한 병원에서 눈을 감았다.",
                "{object:은/는} {occupation} {subject:이/가} 숨을 거둔 곳으로 알려져 있다.",
                "{subject:은/는} {object} 여행 중 갑작스러운 사고로 사망했다.",
                "{object}에서 사망한 {subject}의 유해는 {date} {city:으로/로} 옮겨졌다.",
            ),
        ),
    ),
    "per:place_of_residence": (
        PatternSet(
            _PERSON,
            ("city",),
            (
                "{subject:은/는} 현재 {object}에서 가족과 함께 [살고 있다|거주하고 있다].",
                "{object}에 사는 {subject:은/는} 주말마다 {city:을/를} 오간다.",
                "{subject:은/는} {date} {city:을/를} 떠나 {object:으로/로} 이주했다.",
                "{object} 주민 {subject:은/는} {person:과/와} 함께 마을 도서관을 꾸몄다.",
                "{subject:은/는} {object}에 정착해 {occupation:으로/로} 살아가고 있다.",
                "{object}에 거주하는 {occupation} {subject:이/가} 새 책을 냈다.",
            ),
        ),
    ),
    "per:origin": (
        PatternSet(
            ("foreigner",),
            ("country",),
            (
                "{subject:은/는} {object} 국적의 {occupation:이다/다}.",
                "{object} 출신 {occupation} {subject:은/는} {city}에서 첫 내한 행사를 열었다.",
                "{subject}의 국적은 {object:이며/며}, {date} 한국에 처음 왔다.",
                "{object} 국적을 지닌 {subject:은/는} {company}에서 일하고 있다.",
                "{subject:은/는} {city}에서 활동하는 {object}인 {occupation:이다/다}.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("home_city",),
            (
                "{subject}의 본관은 {object:이며/며}, 집안 대대로 {home_city}에서 살아왔다.",
                "본관이 {object}인 {subject:은/는} {city}에서 자랐다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("country",),
            ("{subject:은/는} {date} {object} 국적을 취득했다.",),
        ),
    ),
    "per:religion": (
        PatternSet(
            _PERSON,
            ("religion",),
            (
                "{subject:은/는} {city}에서 활동하는 {occupation:으로/로}, [독실한 {object} 신자다|종교는 {object:이다/다}].",
                "{object} 집안에서 자란 {subject:은/는} 평생 그 신앙을 지켰다.",
                "{subject:은/는} {date} {religion}에서 {object:으로/로} 개종했다.",
                "독실한 {object} 신자인 {subject:은/는} {city}에서 봉사 활동을 하고 있다.",
                "{object:을/를} 믿는 {subject:은/는} 종교가 다른 {person:과/와} 책을 함께 썼다.",
                "{subject}의 종교는 {object:으로/로} 알려져 있다.",
            ),
        ),
    ),
    "per:schools_attended": (
        PatternSet(
            _PERSON,
            ("university",),
            (
                "{subject:은/는} {date} {object}에 입학해 [법학|건축학|국문학]을 전공했다.",
                "{subject:은/는} {object}에서 [석사|박사] 학위를 받고 {company}에 들어갔다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("school", "university"),
            (
                "{subject:은/는} {city}에 있는 {object:을/를} [졸업했다|다녔다].",
                "{object:을/를} 졸업한 {subject:은/는} {agency}에 취직했다.",
                "{object} [출신|동문]인 {subject:은/는} 모교에 장학금을 기부했다.",
                "{object} 재학 시절 {subject:은/는} {person:과/와} 같은 반이었다.",
            ),
        ),
    ),
    "per:alternate_names": (
        PatternSet(
            ("korean",),
            ("stage_name",),
            (
                "{object:은/는} {city} 출신 {occupation:으로/로}, 본명은 {subject:이다/다}.",
                "{subject}({object}){:은/는} {date} {city}에서 첫 무대에 올랐다.",
                "{subject:은/는} {object:이라는/라는} [예명|필명]으로 활동하는 {occupation:이다/다}.",
                "‘{object}’{:이라는/라는} 별명으로 불린 {subject:은/는} {person}의 제자다.",
                "{subject:은/는} 이름보다 {object:이라는/라는} [별칭|호]{:으로/로} 더 알려져 있다.",
                "본명이 {subject}인 {object:은/는} {company} 광고에 출연했다.",
            ),
        ),
    ),
    "per:parents": (
        PatternSet(
            ("korean",),
            ("relative",),
            (
                "{subject:은/는} {date} {object}의 [아들|딸]{:으로/로} 태어났다.",
                "{subject}의 [아버지|부친] {object:은/는} {city}에서 서점을 운영했다.",
                "아버지 {object:과/와} 어머니 {person} 사이에서 태어난 {subject:은/는} {city}에서 자랐다.",
                "{object}의 [장남|장녀|막내]인 {subject:은/는} {company}에 입사했다.",
                "{object:은/는} {occupation} {subject}의 [아버지다|부친이다].",
            ),
        ),
        PatternSet(
            ("korean",),
            ("korean",),
            (
                "{subject}의 어머니 {object:은/는} {university}에서 교수로 일했다.",
                "어머니 {object:을/를} 따라 {subject:은/는} {date} {city:으로/로} 갔다.",
            ),
        ),
    ),
    "per:children": (
        PatternSet(
            ("korean",),
            ("relative",),
            (
                "{subject:은/는} {date} [아들|딸] {object:을/를} 얻었다.",
                "{subject}의 [장남|차남|막내딸] {object:은/는} {city}에서 서점을 운영한다.",
                "{object:은/는} {date} {subject}의 [아들|딸]{:으로/로} 태어났다.",
                "{object:을/를} [아들|딸]{:으로/로} 둔 {subject:은/는} {company:을/를} 창업했다.",
                "{subject:은/는} 자녀 {object:과/와} 함께 {city:을/를} 여행했다.",
                "{object}의 [아버지|부친] {subject:은/는} {city}에서 가게를 운영했다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("korean",),
            ("{object}의 어머니 {subject:은/는} {university}에서 교수로 일했다.",),
        ),
    ),
    "per:siblings": (
        PatternSet(
            ("korean",),
            ("relative",),
            (
                "{subject}의 [형|동생|누나|언니|오빠] {object:은/는} {company}에 다닌다.",
                "{subject:과/와} {object:은/는} [형제|남매|자매] 사이로, {city}에서 함께 자랐다.",
                "{object:은/는} {occupation} {subject}의 [친동생이다|쌍둥이 동생이다|동생이다].",
                "{subject:은/는} 동생 {object:과/와} 함께 {date} {company:을/를} 창업했다.",
                "맏이인 {object:이/가} 유학을 떠난 뒤 동생 {subject:이/가} 가업을 이었다.",
                "{object}의 동생인 {subject:은/는} {person}에게 그림을 배웠다.",
            ),
        ),
    ),
    "per:spouse": (
        PatternSet(
            _PERSON,
            _PERSON,
            (
                "{subject:은/는} {date} {object:과/와} {city}에서 결혼했다.",
                "{object:과/와} 결혼한 {subject:은/는} {city}에 신혼집을 마련했다.",
                "{subject:과/와} {object:은/는} 3년간의 열애 끝에 부부가 됐다.",
                "{date} {object:과/와} 부부의 연을 맺은 {subject:은/는} 고향으로 돌아갔다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("korean",),
            (
                "{subject}의 [아내|남편|배우자] {object:은/는} {company}에 다닌다.",
                "{object:은/는} {occupation} {subject}의 [부인으로|남편으로], 두 사람은 {city}에 산다.",
            ),
        ),
    ),
    "per:other_family": (
        PatternSet(
            ("korean",),
            ("relative",),
            (
                "{subject}의 [할아버지|조부|삼촌|고모] {object:은/는} {city}에서 서점을 운영했다.",
                "{object:은/는} {occupation} {subject}의 [사촌 동생이다|조카다|손자다|사촌 형이다].",
                "{subject:은/는} {object}의 [손자|손녀|조카]{:으로/로}, {company}에 다닌다.",
                "{subject:은/는} 삼촌 {object:과/와} 함께 {date} {city:으로/로} 이주했다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("korean",),
            (
                "{object:은/는} {subject}의 [사위|며느리|장인]{:으로/로}, 두 사람은 {city}에 산다.",
                "[사위|며느리]인 {object:이/가} {subject}의 회사를 물려받았다.",
                "{subject}의 [장모|시어머니|외할머니] {object:은/는} {university}에서 교수로 일했다.",
            ),
        ),
    ),
    "per:colleagues": (
        PatternSet(
            ("person", "korean"),
            ("person",),
            (
                "{subject:과/와} {object:은/는} {company}에서 함께 [근무했다|일했다].",
                "{subject:은/는} 동료 {object:과/와} 함께 {city:으로/로} 출장을 갔다.",
                "{object:은/는} {subject:과/와} 같은 [팀|부서]에서 일하는 동료다.",
                "{subject:은/는} {band}에서 같이 활동하던 {object:과/와} 다시 무대에 섰다.",
                "{subject}의 직장 동료인 {object:은/는} {person:을/를} 만나 조언을 구했다.",
                "{club} 시절 {object:과/와} 한솥밥을 먹은 {subject:은/는} 지금도 연락을 주고받는다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("relative",),
            ("{subject:과/와} {object:은/는} {agency}에서 같은 과제를 맡은 연구 동료다.",),
        ),
    ),
    "no_relation": (
        PatternSet(
            ("person", "korean"),
            _PERSON,
            (
                "{person:은/는} {subject:과/와} {object}의 작품을 나란히 전시했다.",
                "{subject:은/는} {city}에서 열린 대회에서 {object:을/를} 누르고 우승했다.",
                "{object:이/가} {person:과/와} 결혼한 그해, {subject:은/는} {city:으로/로} 이사했다.",
                "{subject:은/는} {object}의 사위인 {person:을/를} {city}에서 우연히 만났다.",
                "{subject:은/는} {object:이/가} 쓴 책을 읽고 {occupation:이/가} 되기로 마음먹었다.",
                "{object:은/는} 동생의 결혼식이 열린 {city}에서 {subject:을/를} 처음 보았다.",
                "{subject:은/는} 아들이 다니는 학교에서 {object}의 연설을 들었다.",
            ),
        ),
        PatternSet(
            ("korean",),
            ("relative",),
            (
                "{object:은/는} {subject:과/와} 성이 같지만 서로 아무 관계가 없다.",
                "{date} 선거에서 {subject:은/는} {object:을/를} 근소한 차이로 앞섰다.",
                "{subject:과/와} 이름이 비슷한 {object:은/는} {person}의 제자다.",
                "{person:은/는} {subject:을/를} 지지했고, {company:은/는} {object:을/를} 후원했다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("company", "agency", "alliance", "party"),
            (
                "{subject:은/는} {object}의 결정을 [강하게 비판했다|환영했다].",
                "{person:이/가} {object}에서 일하는 동안 {subject:은/는} {city}에 머물렀다.",
                "{object:이/가} 주최한 행사에서 {subject:은/는} {person}의 글을 낭독했다.",
                "{subject:은/는} {object:과/와} 벌인 소송에서 이겼다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("school", "university"),
            ("{subject:은/는} {object}에 다니던 {person:을/를} {city}에서 만났다.",),
        ),
        PatternSet(
            _PERSON,
            ("school", "university", "band", "club", "league"),
            ("{object:은/는} {date} {city}에서 행사를 열었으나 {subject:은/는} 가지 않았다.",),
        ),
        PatternSet(
            _PERSON,
            ("religion",),
            (
                "{subject:은/는} {object} 신자인 {person:과/와} 토론을 벌였다.",
                "{object}의 역사를 다룬 책이 나오자 {subject:은/는} 서평을 썼다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("city", "country"),
            (
                "{subject:은/는} {object}에서 열린 시상식에 참석했다.",
                "{person:은/는} {object}에서 태어났고, {subject:은/는} {city}에서 자랐다.",
                "{object:을/를} 다녀온 {person:은/는} {subject}에게 편지를 보냈다.",
                "{subject:은/는} {object:을/를} 배경으로 한 영화를 보고 {person:을/를} 떠올렸다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("date", "birth_date"),
            (
                "{subject:은/는} {object} {city}에서 열린 [토론회|전시회]에 참석했다.",
                "{object} 태어난 {person:은/는} {subject}에게 바이올린을 배웠다.",
                "{person:이/가} 세상을 떠난 {object}, {subject:은/는} {city}에 있었다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("occupation", "position"),
            (
                "{subject:은/는} 공석인 {object} 자리에 누가 올지 모른다고 말했다.",
                "{object:을/를} 꿈꾸던 {person:은/는} {subject}의 강연을 듣고 진로를 바꿨다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("work",),
            (
                "{subject:은/는} {person:이/가} 쓴 《{object}》{:을/를} 여러 번 읽었다고 말했다.",
                "《{object}》{:이/가} 상을 받던 날 {subject:은/는} {city}에 있었다.",
            ),
        ),
        PatternSet(
            _PERSON,
            ("headcount",),
            (
                "{subject:은/는} {city}에서 관객 {object} 앞에 섰다.",
                "{object:이/가} 모인 자리에서 {subject:은/는} {person:을/를} 소개했다.",
            ),
        ),
        PatternSet(
            ("person", *_ANY_ORGANISATION),
            ("few",),
            (
                "{subject:은/는} {city}에서 온 독자 {object:과/와} 만나는 행사를 마련했다.",
                "심사 위원 {object:은/는} {subject:을/를} 올해의 후보로 추천했다.",
            ),
        ),
        PatternSet(
            ("stage_name", "person"),
            ("stage_name",),
            ("{subject:은/는} {object:과/와} 같은 날 {city}에서 각자 공연을 열었다.",),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("person",),
            (
                "{subject:은/는} {object:이/가} 제기한 의혹을 [부인했다|조사하기로 했다].",
                "{object:은/는} {person:이/가} {subject:을/를} 떠났다는 소식을 듣고 놀랐다.",
                "{person:이/가} 몸담은 {subject:은/는} {object}의 강연을 녹화해 배포했다.",
            ),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("company", "agency", "group", "league", "alliance"),
            (
                "{subject:은/는} {city}에서 {object:과/와} 업무 협약을 맺었다.",
                "{object:이/가} 계획을 미루자 {subject}도 일정을 다시 검토하기로 했다.",
                "{person:은/는} {object:과/와} {subject:을/를} 나란히 다룬 책을 펴냈다.",
            ),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("religion", "party"),
            (
                "{subject:은/는} {object}의 역사를 다룬 전시회에 장소를 내주었다.",
                "{object:을/를} 떠난 {person:은/는} {date} {subject:을/를} 방문했다.",
            ),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("city", "country"),
            (
                "{subject:은/는} {object}에서 [설명회를|기념행사를] 열었다.",
                "{object:을/를} 찾은 {subject} 관계자들은 {person:을/를} 만났다.",
            ),
        ),
        PatternSet(
            ("company", "agency", "university"),
            ("city",),
            (
                "{group:은/는} {object}에 본사를 두고 있고, {subject:은/는} {city}에 자리 잡고 있다.",
                "{city}에 본부를 둔 {subject:은/는} {object:으로/로} 옮긴다는 소문을 부인했다.",
            ),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("date", "birth_date"),
            (
                "{subject:은/는} {object} {city}에서 공개 행사를 열었다.",
                "{object} 설립된 {company:은/는} {subject:과/와} 손잡고 행사를 열었다.",
                "{object}에 태어난 {person:은/는} {subject}의 초청으로 강연을 했다.",
            ),
        ),
        PatternSet(
            ("company", "maker"),
            ("product", "occupation", "position"),
            (
                "{subject:은/는} {person:을/를} 다룬 기사에서 {object:이라는/라는} 말을 빼 달라고 요청했다.",
                "{object:을/를} 소개하는 {person}의 글에 {subject:은/는} 등장하지 않는다.",
            ),
        ),
        PatternSet(
            ("maker",),
            ("product",),
            (
                "{company:이/가} 내놓은 {object}에 대해 {subject:은/는} 특허 침해를 주장했다.",
                "{subject:은/는} 경쟁사가 만든 {object}의 판매 추이를 지켜보고 있다.",
            ),
        ),
        PatternSet(
            _ANY_ORGANISATION,
            ("headcount",),
            (
                "{subject:은/는} 이번 행사에 관람객 {object:이/가} 다녀갔다고 밝혔다.",
                "{object:을/를} 대상으로 한 설문 결과를 {subject:이/가} 공개했다.",
                "{company} 직원 {object:이/가} {subject:이/가} 연 교육에 참가했다.",
            ),
        ),
    ),
}
