"""Three-step stories whose steps have only one sensible order."""

STORIES = [
    tuple(line.split(' / '))
    for line in """
woke up / got dressed / left for work
bought a ticket / boarded the train / got off at the last stop
mixed the dough / baked the bread / ate a warm slice
planted a seed / watered the little plant / picked the ripe tomatoes
wrote a letter / sealed the envelope / posted it
caught a cold / saw a doctor / got well again
filled the kettle / boiled the water / drank the tea
found a wallet / called its owner / gave it back
lost a tooth / put it under the pillow / found a coin there
opened the book / read every chapter / closed the book
packed the suitcase / flew to Rome / unpacked at the hotel
turned on the computer / typed the report / printed it
got engaged / got married / celebrated a first anniversary
peeled the potatoes / boiled them / served them with butter
broke a vase / swept up the pieces / bought a new vase
applied for a job / had an interview / started work
looked at the menu / ordered soup / paid the bill
washed the shirt / hung it up to dry / ironed it
learned the alphabet / began to read / finished a first novel
adopted a puppy / trained it / took it to a dog show
picked some apples / made a pie / shared it with the neighbours
fell off the bike / went to hospital / came home with a bandage
bought some paint / painted the wall / waited for it to dry
heard the alarm / ran out of the building / called the firemen
entered the race / ran for two hours / crossed the finish line
took a photo / framed it / hung it on the wall
knocked on the door / waited / went in
saved some money / bought a car / drove it to the sea
studied hard / took the exam / passed it
ran a bath / got into the water / dried off with a towel
unlocked the door / went inside / lay down on the bed
dug a hole / put the tree in it / covered the roots with earth
caught a fish / cleaned it / fried it for dinner
borrowed a book / read it / took it back to the library
climbed the ladder / fixed the roof / climbed down again
lit a candle / read by its light / blew it out
wrote a song / practised it / sang it on the stage
cut the cloth / sewed a dress / wore it to the party
sat down at the piano / played a waltz / bowed to the audience
built a boat / sailed it round the world / wrote a book about the trip
saw a lost dog / fed it / found its owner
missed the last bus / walked for an hour / got home after midnight
""".strip().splitlines()
]
