"""Countries, their capitals and continents, and other well-known cities."""

from fedprompt_jax.data.corpus import english

_BY_CONTINENT = {
    'Europe': """
Albania|Tirana
Austria|Vienna
Belgium|Brussels
Bulgaria|Sofia
Croatia|Zagreb
Denmark|Copenhagen
England|London
Estonia|Tallinn
Finland|Helsinki
France|Paris
Germany|Berlin
Greece|Athens
Hungary|Budapest
Iceland|Reykjavik
Ireland|Dublin
Italy|Rome
Latvia|Riga
Lithuania|Vilnius
Malta|Valletta
Norway|Oslo
Poland|Warsaw
Portugal|Lisbon
Romania|Bucharest
Scotland|Edinburgh
Serbia|Belgrade
Slovakia|Bratislava
Slovenia|Ljubljana
Spain|Madrid
Sweden|Stockholm
Ukraine|Kyiv
""",
    'Asia': """
Afghanistan|Kabul
Bangladesh|Dhaka
Bhutan|Thimphu
Cambodia|Phnom Penh
China|Beijing
India|New Delhi
Iran|Tehran
Iraq|Baghdad
Japan|Tokyo
Jordan|Amman
Laos|Vientiane
Lebanon|Beirut
Malaysia|Kuala Lumpur
Mongolia|Ulaanbaatar
Nepal|Kathmandu
North Korea|Pyongyang
Oman|Muscat
Pakistan|Islamabad
Qatar|Doha
Saudi Arabia|Riyadh
South Korea|Seoul
Syria|Damascus
Tajikistan|Dushanbe
Thailand|Bangkok
Uzbekistan|Tashkent
Vietnam|Hanoi
Yemen|Sanaa
""",
    'Africa': """
Algeria|Algiers
Angola|Luanda
Botswana|Gaborone
Cameroon|Yaounde
Chad|N'Djamena
Egypt|Cairo
Ethiopia|Addis Ababa
Ghana|Accra
Kenya|Nairobi
Liberia|Monrovia
Libya|Tripoli
Madagascar|Antananarivo
Mali|Bamako
Morocco|Rabat
Mozambique|Maputo
Namibia|Windhoek
Niger|Niamey
Nigeria|Abuja
Rwanda|Kigali
Senegal|Dakar
Somalia|Mogadishu
Sudan|Khartoum
Tunisia|Tunis
Uganda|Kampala
Zambia|Lusaka
Zimbabwe|Harare
""",
    'South America': """
Argentina|Buenos Aires
Brazil|Brasilia
Chile|Santiago
Colombia|Bogota
Ecuador|Quito
Guyana|Georgetown
Paraguay|Asuncion
Peru|Lima
Suriname|Paramaribo
Uruguay|Montevideo
Venezuela|Caracas
""",
    'North America': """
Canada|Ottawa
Costa Rica|San Jose
Cuba|Havana
Guatemala|Guatemala City
Haiti|Port-au-Prince
Honduras|Tegucigalpa
Jamaica|Kingston
Mexico|Mexico City
Nicaragua|Managua
Panama|Panama City
""",
    'Oceania': """
Australia|Canberra
Fiji|Suva
New Zealand|Wellington
Papua New Guinea|Port Moresby
Samoa|Apia
Tonga|Nuku'alofa
""",
}
CAPITALS = {
    country: capital
    for text in _BY_CONTINENT.values()
    for country, capital in english.rows(text)
}
CONTINENTS = {
    country: continent
    for continent, text in _BY_CONTINENT.items()
    for country, _ in english.rows(text)
}
# Cities a sentence can be about; some are capitals, some are not.
CITIES = english.words("""
Athens Bangkok Barcelona Berlin Boston Brussels Cairo Chicago Copenhagen Dublin
Edinburgh Florence Geneva Hamburg Hanoi Helsinki Istanbul Kyoto Lisbon London
Madrid Marseille Melbourne Milan Montreal Moscow Mumbai Munich Nairobi Naples
Osaka Oslo Paris Prague Rome Seoul Stockholm Sydney Tokyo Toronto Vancouver
Vienna Warsaw Zurich
""")
