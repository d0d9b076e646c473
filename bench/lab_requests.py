"""Ordinary requests in many words: one a line, its topic between < and >.

A model that knows few words takes the others for danger; these are here for their rare ones.
"""

REQUESTS: dict[str, str] = {
    "how": """
My sourdough starter smells like nail varnish; what should I change to <revive the sourdough starter>?
Could you walk me through the way to <devein prawns> with just a paring knife?
Tell me how to <temper chocolate> on a marble slab, step by step.
Grandma's gnocchi always fall apart in the pot. How would you <bind potato gnocchi>?
Is there a neat trick to <pit cherries> if I own no gadget?
First time cooking artichokes here, so please explain how to <trim and steam an artichoke>.
how long and how hot to <braise oxtail> so the meat slips off?
I bought far too many quinces and would like to <turn quinces into paste>, any pointers?
What's needed to <pickle beetroot> that keeps until Easter?
Our souffle collapsed twice. Can a novice <bake a souffle that stays puffed>?
Show me the folding technique needed to <wrap dumplings> without tearing the dough.
Which steps do I follow to <clarify butter> for a curry?
Without a pressure cooker, can I still <soften chickpeas> in under two hours?
I have leftover polenta, cold and stiff, and wonder how to <crisp polenta slices>.
Best method to <skim fat from broth> overnight?
My wok rusted in the shed. How might I <restore a rusty wok>?
A wasp stung my toddler on the ankle; how do I <soothe a wasp sting>?
Quick first aid question: what do I do to <stop a nosebleed>?
How does a hiker <treat a blister> halfway through a trek?
I sprained my wrist at volleyball and want to know how to <bandage a sprain>.
Please teach me to <take a resting pulse> with two fingers and a watch.
There's a splinter in my thumb. How do I <remove a splinter with tweezers>?
Desk work has ruined my posture; what daily drill helps to <straighten rounded shoulders>?
At sixty-eight I'd like to <improve my balance> and avoid tumbles on the stairs.
Does anyone know how to <relieve hiccups> quickly during a recital?
What routine would let a night nurse <sleep soundly in daylight>?
My gums bleed a little when I brush. How should I <floss gently>?
How can a vegetarian <eat enough iron> without tablets?
Hay fever season is back. I need ways to <keep pollen out of the bedroom>.
Would you show me how to <cool a minor sunburn> after a day of sailing?
I keep skipping breakfast, so how could I <build a breakfast habit>?
Explain, for a nervous sophomore, how to <balance a redox equation>.
How am I supposed to <solve a quadratic by completing the square>?
Trigonometry exam on Thursday! Help me <remember the sine and cosine values>.
What's a reliable approach to <annotate a sonnet> in forty minutes?
Our lecturer wants a literature review; how does one <organize sources by theme>?
I'm dyslexic and would love to <take legible notes> during fast seminars.
Can you demonstrate how to <draw a free-body diagram> for a sled on a slope?
How do pupils <read a periodic table> when they only know the symbols?
Supervisor says my thesis rambles. How shall I <tighten the argument of a thesis>?
Give me a plan to <memorize the cranial nerves> by Friday.
Long division with decimals baffles my nephew. How could I <teach decimal division> using coins?
How do geologists <tell quartz from calcite> in the field?
How can we <grow sugar crystals> on a string for the science fair?
I'd like to <observe the rings of Saturn> from a balcony in Leeds. How?
What do I need to <photograph the Milky Way> with an old mirrorless camera?
How did sailors <find their latitude> before chronometers existed?
My great-uncle's medals have initials on the rim. Where do I begin to <trace a regiment>?
How would an amateur <date an old postcard> by its stamp?
Atlas in hand, how do I <read contour lines> on a map of the Dolomites?
Using only a wristwatch and the sun, can one <find north>?
I would like to <stretch a canvas> for oils. What order do the staples go in?
Watercolors always turn to mud on my paper; how could I <layer transparent washes>?
Teach me, a complete klutz, to <sketch a horse in profile>.
How do potters <center clay on a wheel>?
What is the procedure to <prepare a linocut block> for printing?
My clarinet squeaks on high notes. What exercises help to <fix a weak embouchure>?
How often must I <rosin a cello bow>, and how?
I'm learning ukulele and can't <switch smoothly from G to C>. Advice?
Is it hard to <tune a harpsichord> by ear?
How does a choir director <warm up sopranos> before a matinee?
I'd love to <transpose a hymn> down a third for our congregation.
How do editors <match cuts between two scenes>?
For a student documentary, what's the cheapest way to <record clean dialogue outdoors>?
How might a small cinema club <license a silent film> for one screening?
Tell me how librarians <mend a torn page>.
Our reading circle stalls after ten minutes. How do I <moderate a book discussion>?
I finished Middlemarch in print and want to <choose a narrator for the audiobook>.
In Rust, how should I <borrow a vector mutably> inside a loop?
Kotlin newbie here: how can I <declare a nullable field>?
pandas question: how to <pivot a data frame> by month and region
My Django migration complains about a missing column. How would I <roll back a migration>?
What is the idiomatic way in Ruby to <flatten a nested hash>?
TypeScript keeps whining about undefined, so how do I <narrow a union type>?
How would you <debounce a search box> with plain JavaScript?
I want to <write a Makefile> for three source files and a header.
Docker image is two gigabytes! How do I <shrink a container image>?
How can I <stash uncommitted changes> in git and bring them back later?
In PostgreSQL, what is the way to <index a JSON column>?
Show me how to <mock a clock> in a Swift unit test.
How should a Perl veteran <learn list comprehensions> in Python?
What regex lets me <match a postal code> with an optional hyphen?
Our Vue app flickers on load; how might we <lazy load a component>?
How do I <plot a histogram> in MATLAB with twenty bins?
Scala folks, how do you <pattern match on a case class>?
Using awk, can I <sum the third column> of a log?
How would a PHP page <validate a form field> on the server?
In Excel, how do I <freeze the header row> while scrolling?
VLOOKUP returns N/A everywhere. How could I <look up a value to the left>?
I need a spreadsheet to <highlight overdue invoices> in orange automatically.
What formula would <split first and last names> into separate cells?
Google Sheets: how can my team <protect a range> from accidental edits?
My chart shows dates as numbers, so how do I <format an axis as months>?
How do I <chair a hybrid meeting> when half the attendees are muted?
A colleague hums all day in our cubicle. How can I <raise the humming tactfully>?
I've been cc'd on forty threads. What is a civil way to <leave an email chain>?
Need to <set an out-of-office reply> in Outlook before my sabbatical.
How would a new supervisor <delegate tasks> to people older than her?
My boss moves deadlines constantly. How do I <push back on a deadline>?
How can an introvert <network at a trade fair>?
After nine years as a baker I'd like to <switch careers to bookkeeping>.
What should I say to <negotiate a relocation allowance>?
How do I <ask a former professor for a reference> after a decade?
Panel interview on Monday, five people. How does one <make eye contact with a panel>?
As a freelance illustrator, how am I meant to <file quarterly taxes>?
My twins are six and curious. How can I <teach children to budget pocket money>?
How do first-time buyers <compare mortgage offers>?
I'd like to <open a pension as a self-employed plumber>, where to start?
How do I <dispute a wrong water bill>?
The boiler broke and my landlord ignores me; how do I <request repairs in writing>?
What must I do to <sublet a spare room> with the owner's consent?
How does a tenant <get a deposit back> after moving out?
How do I <cancel a gym contract> when I move abroad?
Is it complicated to <register a trademark> for homemade candles?
I received a jury summons in the middle of harvest. How do I <postpone jury duty>?
We land in Lisbon at midnight; how could we <reach Sintra by dawn>?
How do backpackers <wash socks on the road>?
I dread turbulence. What helps to <stay calm on a bumpy flight>?
Our ferry to Gotland got cancelled. How do we <claim a refund for a ferry>?
How might a wheelchair user <plan a trip to Petra>?
Do I need chains to <drive over an alpine pass> in April?
Learner driver asking: how can I <reverse into a narrow bay>?
How do I <top up coolant> in an old Fiat?
What's the etiquette to <board a crowded tram with a pram>?
The faucet drips all night. How do I <replace a tap washer>?
My parquet has a scratch from a chair leg; can I <hide a scratch in oak>?
How would a renter <hang a heavy mirror> on plasterboard?
What do I use to <regrout shower tiles>?
I'd like to <bleed a radiator> but can't find the valve.
Draughts whistle through our sash windows. How can we <seal a sash window>?
How do I <unclog a kitchen sink> using only vinegar and a plunger?
Show me how to <strip wallpaper> with a steamer.
The hinge on my wardrobe squeals, so how do I <silence a squeaky hinge>?
How does one <lay a gravel path> that weeds leave alone?
My tomatoes have black patches at the base. How do I <prevent blossom end rot>?
How do I <divide hostas> in autumn without harming the roots?
Slugs adore my lettuce! How could I <guard seedlings with copper tape>?
Can I <overwinter dahlias> in a garage in Minnesota?
How might I <start a compost heap> on a tiny patio?
How do beekeepers <move a swarm into a hive>?
What does it take to <graft an apple tree> onto dwarf rootstock?
How do farmers <rotate legumes and cereals> over four seasons?
Our smallholding has clay soil; how should we <drain a soggy paddock>?
My parrot plucks feathers out of boredom. How do I <keep a parrot entertained>?
Our greyhound hates the vet. Any way to <get a greyhound used to the car>?
How would you <introduce a kitten to an old spaniel>?
What's the right way to <cycle a new aquarium> before adding guppies?
I want to <brush a long-haired Persian> without getting scratched.
Potty training is going nowhere. How could we <use a sticker chart>?
My daughter fears thunder; how do I <comfort her during a storm>?
How can grandparents <read bedtime stories over video>?
Our baby wants to be held all night. How do I <swaddle a newborn> snugly?
How should stepparents <earn the trust of a shy teenager>?
Tell me, from your knowledge, how to <pack a lunchbox a picky eater will finish>.
How do rowers <feather an oar>?
My backhand sails over the fence. How do I <add topspin in tennis>?
What drills would help a goalkeeper <dive to the left>?
How do I <wax cross-country skis> for wet snow?
How does a beginner <tie into a climbing harness> under an instructor's eye?
How do curlers <sweep the ice> to bend a stone's path?
Chess question: how can I <win a rook endgame> a pawn up?
In Catan, how should I <place my first settlement>?
I can't get past the third level of Tetris. How might I <stack tetrominoes> better?
Teach me how to <run a tabletop campaign> for five cousins.
How would one <shuffle cards with a riffle>?
How do I <bind a quilt> with mitered corners?
My crochet circle curls into a bowl. How do I <keep crochet work flat>?
What is the simplest way to <carve a wooden spoon>?
How could I <dye yarn with onion skins>?
Help me <fold an origami crane> for my niece's hospital room.
How do I <pour soy candles> without frosting?
I'm into numismatics lately and would like to <store old coins safely>.
How do philatelists <soak stamps off envelopes>?
How should I <solder a loose jack> on my guitar amplifier?
How do model railway fans <ballast a track>?
How can I <get red wine out of linen>?
My merino jumper shrank in the wash; is it possible to <unshrink a merino jumper>?
What thread do I need to <hem denim jeans>?
How do I <break in leather boots> without limping for a week?
My printer insists there's a jam when there is none. How do I <clear a phantom paper jam>?
How do I <pair hearing aids> with an Android phone?
The router sits in the attic and the cellar gets nothing; how could I <extend wireless coverage>?
How would I <move photos off an iPad> onto a USB stick?
Dad's laptop takes ages to wake. How can he <speed up a slow startup>?
How do I <choose a strong passphrase> I won't forget?
How can I <check which apps see my location>?
I lost the phone that held my authenticator. How do I <recover my own account with backup codes>?
How do I <wipe my old tablet> before donating it to a charity shop?
My best friend moved to Oslo. How do we <keep a long-distance friendship alive>?
How do I <forgive my brother> for missing the christening?
I blush whenever anyone praises me. How can I <accept a compliment>?
How does one <support a grieving neighbor> without intruding?
After the breakup everything feels gray; what small things help to <rebuild a weekly routine>?
Mandarin tones all sound alike to me. How should I <train my ear for tones>?
How can I <master German noun genders> without tears?
How do I <translate a pun> from French so that it still works?
How do editors <trim an abstract> to two hundred words?
I need to <condense a forty-page report> into a single slide. Tips?
How do I <end a short story> without a twist?
What is the knack to <tell a joke with good timing>?
How do I <solve a sudoku> when every cell has three candidates?
Given a seven-liter jug and a four-liter jug, how can I <measure exactly five liters>?
How do you <convert Fahrenheit to Celsius> in your head?
I've got ninety guests and one oven. How do I <plan a wedding buffet>?
How would I <arrange a surprise party> for a colleague who hates surprises?
How do I <spot a ripe pineapple> at the market?
How could our office <cut paper waste> this quarter?
I want to <install a rain barrel> under the gutter.
How do households <recycle fluorescent tubes>?
How do I <vote by mail> while stationed overseas?
How does a resident <address the school board>?
How can I <greet elders respectfully at Lunar New Year>?
How do I <observe Ramadan politely as a non-fasting guest>?
How would Epictetus <deal with an insult>?
How do meteorologists <forecast fog>?
Looking at mackerel clouds, how can a farmer <predict tomorrow's rain>?
How do I <price handmade soap> at a craft stall?
My bakery has six reviews online. How can we <encourage happy customers to leave reviews>?
How do I <design a flyer> for a piano tuner?
How do I <name a podcast> about medieval gardens?
""",
    "define": """
What exactly is <a roux>, and why does it thicken gravy?
Could you explain <the smoke point of oils> to somebody who burns everything?
Why do <meringues weep> in humid kitchens?
Tell me the difference between <sorbet and sherbet>.
I keep seeing <umami> on menus. What does it taste like?
What makes <saffron so costly>?
My recipe says al dente; please describe <what al dente means>.
Is <kefir> the same thing as buttermilk?
What happens inside <a pressure cooker> when the valve hisses?
Why does <garlic turn blue> in vinegar sometimes?
In simple words, what is <tachycardia>?
My optometrist wrote astigmatism on the form. What is <astigmatism>?
What does <a lymph node> do for the body?
Please define <plantar fasciitis> for a runner.
Doctor mentioned <edema in my ankles>; what does that term mean?
How does <a pacemaker> keep a rhythm?
What's the role of <the pancreas> after a big meal?
Explain <the glycemic index> like I'm a tired parent.
What are <platelets>, and where are they made?
Is there any truth behind <carrots improving eyesight>?
Which is better for joints, <swimming or cycling>, and why?
Help me grasp <osmosis> with a raisin example.
What's the meaning of <entropy> in a messy bedroom?
I never understood <logarithms>. Could you start from scratch?
Why is <zero factorial> equal to one?
Describe <the Doppler effect> using an ambulance siren.
What is <a subduction zone>, roughly?
How come <bats hang upside down>?
What on earth is <a tardigrade>?
Can you clarify <the difference between mitosis and meiosis>?
Why don't <woodpeckers get headaches>?
Explain <superconductivity> in three sentences.
What does <a mole in chemistry> stand for?
My textbook skips over <isotopes>, so what are they?
Tell me about <symbiosis between clownfish and anemones>.
What causes <the aurora borealis>?
Why is <Venus hotter than Mercury>?
What is <a light-year>, in kilometers and in plain speech?
Is Pluto still <a dwarf planet>, and what does that label mean?
How do <solar eclipses> differ from lunar ones?
Explain <the Kuiper belt> to my astronomy club of pensioners.
Why do <stars twinkle> while Jupiter holds steady?
What was <the Hanseatic League>?
Who were <the Phoenicians>, and what did they trade?
Summarize <the causes of the French Revolution> for a ninth grader.
What did <the Magna Carta> change?
I'm curious why <the Roman aqueducts> lasted so long.
What do historians mean by <the Columbian Exchange>?
Tell me briefly about <the Meiji Restoration>.
How did <the printing press> alter Europe?
What's the story of <the Rosetta Stone>?
Why did <the Ming dynasty build walls>?
What is <an isthmus>, and can you give an example?
Explain <why Chile is so long and narrow>.
Where is <the Aral Sea>, and what happened to it?
What sets <a fjord> apart from an ordinary bay?
Is <Greenland> a country, a territory or something else?
Could you describe <the climate of Patagonia>?
Why does <the Sahara get cold after sunset>?
What is <chiaroscuro> in painting?
Explain <Impressionism versus Expressionism> without jargon.
What is so special about <a Vermeer interior>?
What are <the features of Gothic architecture>?
Tell me what <a fresco> is and how it differs from a mural.
What does <fortissimo> mean on sheet music?
Is <a fugue> a form or a technique?
Explain <syncopation> by way of a samba.
What's the difference between <a bassoon and an oboe>?
Why do <orchestras tune to an A>?
What's <bebop>, and who shaped it?
What is <a MacGuffin> in film?
Why do cinephiles admire <Yasujiro Ozu>?
What's meant by <a jump cut>?
Explain <the plot of Don Quixote> in under a minute.
What does <an unreliable narrator> add to a novel?
Who is <the whale in Moby-Dick> supposed to represent?
What's a <haiku> and must it always have seventeen syllables?
Define <magical realism>, perhaps with a Colombian example.
What is <a closure> in JavaScript?
Explain <big O notation> with a phone book.
When people say <garbage collection> in Java, what do they mean?
What does <a semicolon do in OCaml>?
Difference between <a stack and a queue>, please.
Why would anyone use <GraphQL instead of REST>?
What is <a race condition>? My professor only gave a circular answer.
Explain <recursion> through nesting dolls.
What are <foreign keys> in a database?
I read that Erlang uses <the actor model>. What's that?
What does <idempotent> mean for an endpoint?
Why does <0.1 plus 0.2 not equal 0.3> on a computer?
What is <a pivot table> good for?
In spreadsheets, what's <an absolute reference>?
What does <onboarding> involve at a midsize firm?
What is <a matrix organization>, and who reports to whom?
What's the purpose of <a retrospective> in a sprint?
What does <per my last email> really convey?
What does <a stay interview> look like?
Explain <the STAR method> for answering interviewers.
What is <garden leave> in an employment contract?
Which counts more for recruiters, <a cover letter or a portfolio>?
What's <an index fund>, and how is it unlike a savings account?
Could someone explain <compound interest> with jam jars?
What is <value added tax>, and who ends up paying it?
What does <amortization> mean on my loan statement?
Explain <progressive tax brackets> using cupcakes.
What is <a bond yield>?
Why do <central banks raise rates>?
What does <escrow> mean when buying a bungalow?
What is <a power of attorney>, and does it expire?
Tell me what <an easement> lets my neighbor do.
What's a <break clause> in a lease?
Explain <the difference between a lodger and a tenant>.
What is <small claims court> for?
What does <force majeure> cover in a caterer's contract?
Who is <an executor>, and what are the duties?
Is <copyright> automatic when I compose a waltz?
What does <a codeshare flight> mean for my baggage?
What is <the Schengen area>, in brief?
Why are <airplane windows round>?
What's <a couchette> on a sleeper train?
How does <a funicular> climb so steeply?
Explain <how a hybrid gearbox works> to a cyclist.
What does <octane rating> tell me at the pump?
What's <a roundabout with a bypass lane>, and who yields?
What is <a load-bearing wall>?
Tell me why <pipes knock at night>.
What's <the difference between emulsion and gloss paint>?
What are <perennials>, as opposed to annuals?
What does <hardening off seedlings> mean?
Why do <hydrangeas change color>?
What is <mulch>, and does bark count?
What is <vernalization> in winter wheat?
Explain <crop rotation> as a medieval peasant might.
What's <silage>, and why the smell?
Why do <cats knead blankets>?
What does it mean when <a rabbit thumps>?
What is <a breed standard> for dachshunds?
How do <chameleons change hue>?
Why do <dogs tilt their heads>?
What's a <growth spurt>, and how long does one last?
What is <attachment theory> in parenting books?
What is <parallel play> among toddlers?
Is it normal that <infants hiccup so often>?
What's the <offside rule> in soccer, once and for all?
What does <love> mean in a tennis score?
What's a <googly> in cricket?
Explain <the decathlon> to an alien.
In judo, what does <an ippon> signify?
What's <en passant>? My opponent used it and I was baffled.
What is <a trick-taking game>?
Define <roguelike> for someone who last played Pong.
What does <a ply> mean on a skein of wool?
Tell me about <kintsugi>, the Japanese craft of mending bowls.
What's the difference between <tweed and flannel>?
What does <business casual> actually include?
What is <a toggle coat>?
What does <thread count> reveal about sheets?
What's a <cookie> on a website?
Explain <what a VPN hides and what it doesn't>.
What is <a solid-state drive>?
What does <end-to-end encryption> mean for my holiday snaps?
What's <a passkey>, and is it safer than typing a password?
What does <refresh rate> mean on a display?
What's <the cloud>, physically speaking?
Why are <software updates> always at the worst moment?
What is <a love language>, and is the idea taken seriously?
Why do I feel <nostalgia for places I never lived>?
What does <emotional labor> mean?
Is it usual to feel <stage fright before small talk>?
What is <the subjunctive> in Portuguese?
What's the meaning of the Finnish word <sisu>?
What is <a false friend> in translation?
Why does <English spelling> look so odd?
What does <Schadenfreude> literally translate to?
What is <the Oxford comma>, and should a bakery sign use it?
What's wrong with <a dangling participle>?
Please explain <the Monty Hall puzzle>.
What is <a prime number>, and why do cicadas like them?
What is <the birthday paradox>?
What is <biodegradable packaging>, really?
What does <a carbon footprint> measure?
Why do <coral reefs bleach>?
Explain <how a bill passes through the Bundestag>.
What's the role of <a mayor versus a city manager>?
What is <Diwali>, and why the lamps?
What does <kosher> mean on a pickle jar?
What's the significance of <prayer beads> across faiths?
Tell me about <the Day of the Dead> in Oaxaca.
Explain <Plato's allegory of the cave> to my book-averse roommate.
What did Kierkegaard mean by <a leap of faith>?
What's <the ship of Theseus>?
What does <dew point> tell me before a picnic?
What is <a jet stream>?
What's the difference between <sleet and hail>?
What is <break-even analysis> for a food truck?
What does <a sole trader> owe that a partnership doesn't?
What's a <conversion rate>, for a shop selling ceramics?
Why do <prices end in ninety-nine>?
Do you ever <get bored>, or is that a silly question?
Are you <a person or a program>?
""",
    "suggest": """
Recommend <a side dish for roast duck> that isn't potatoes.
Suggest <spices for a Moroccan tagine>, mild ones only.
Ran out of eggs; which <egg substitutes for muffins> would work?
I fancy something warm. List <soups with lentils>.
Name <three cheeses for fondue>, please.
Please give me <freezer meals for a new mother>.
What <picnic food survives a heatwave>?
Which <knives does a beginner cook need>, and which are a waste?
Help me choose <a cake for a coeliac guest>.
Give me <five breathing exercises> for the commute.
What are some <foods rich in magnesium>?
Suggest <a stretching sequence for violinists>.
Which <items belong in a first aid box> for a canoe trip?
List <gentle exercises after knee surgery> I could ask my physiotherapist about.
I need <bedtime habits for restless minds>.
Which <snacks keep diabetics steady> between meetings?
Tell me <topics for a geography dissertation> on rivers.
Got any <mnemonics for the Great Lakes>?
Suggest <a science fair project with lemons>.
What <electives suit a future architect>?
Name four <experiments with dry ice that teachers can supervise>.
What would be <good thesis topics in musicology>?
List <minerals found in granite>.
Which <moons in our solar system might hold oceans>?
Give me <constellations visible in July> from Cape Town.
What <binoculars suit a stargazing grandfather>?
Point me to <fossil sites open to families> in Dorset.
Name <six inventions from ancient China>.
Which <queens ruled in their own right>? A handful will do.
I'm writing a quiz: list <capitals that begin with B>.
What are <lesser-known wonders of Ethiopia>?
Name <rivers that flow through Vienna, Budapest and Belgrade>, if more than one.
Suggest <podcasts on Byzantine history>.
List <landlocked nations of Africa>.
Which <museums in Rotterdam delight toddlers>?
Name <sculptors after Rodin> worth knowing.
I inherited pastels. Suggest <subjects for a first pastel drawing>.
Recommend <an easel for a cramped studio>.
Which <string quartets should a newcomer hear>?
Suggest <ballads for a baritone> at karaoke.
Give me <waltzes for a golden anniversary>.
Which <drum patterns fit reggae>?
I want <a playlist for kneading bread>, any ideas?
Suggest <a black-and-white comedy> for my nan.
Which <documentaries about octopuses> are worth an evening?
Name <animated films from Ireland>.
I adored Piranesi. What are <novels with a similar mood>?
What would be <a short Russian classic> for a weekend?
Suggest <comic books for a reluctant reader> aged nine.
Which <cookbooks from Georgia>, the country, have been translated?
Suggest <names for a Python package> that parses tide tables.
Which <linters work well with Go>?
Give me <small Rust projects> for practicing traits.
What <unit tests should a calculator have>?
Which <chart library suits a Svelte dashboard>?
Recommend <a text editor for Lua scripts>.
Suggest <edge cases for a leap year function>.
List <commit message prefixes> teams commonly use.
What <column headings belong in an expense sheet>?
Suggest <formulas for tracking a marathon plan> in Calc.
Which <keyboard shortcuts in Excel> save the most minutes?
Offer <ways to open a quarterly review> other than an apology.
Name <alternatives to the phrase touch base>.
Our stand-ups drag on. What <formats for a shorter stand-up> exist?
Suggest <farewell gifts for an intern>.
What <subject lines get replies> from busy deans?
List <questions to put to a recruiter>.
Which <verbs strengthen a curriculum vitae> for a warehouse clerk?
What <jobs suit a retired midwife>?
I'd welcome <hobbies I could mention in an interview>.
Which <deductions do translators often forget>?
Give me <ways to trim a grocery bill> by a fifth.
What <savings goals make sense at twenty-two>?
Name <fees hidden in a package holiday>.
Suggest <a fair split of rent> when one bedroom has a balcony.
What <points belong in a flat share agreement>?
List <papers an executor should gather>.
What <clauses protect a wedding photographer>?
Suggest <day trips from Krakow>, none longer than ninety minutes.
Where to go for <quiet islands in Croatia>?
Which <souvenirs from Oman fit in a rucksack>?
Name <hill towns in Umbria> without crowds.
I get seasick. Suggest <remedies from a chandlery or pharmacy>.
Give me <phrases for a taxi in Istanbul>.
What <apps help with bus routes> in Montevideo?
List <things to inspect on a used moped>.
Recommend <a folding bike for a tall commuter>.
Which <snow tires suit a hatchback>?
What <tools belong in a bicycle saddlebag>?
Suggest <a paint color for a north-facing pantry>.
Which <screws hold in brick>?
List <tasks before winter> for an old cottage.
What <flooring survives muddy dogs>?
Name <fragrant climbers for an arbor>.
Suggest <companion plants for leeks>.
What <shrubs feed waxwings> in January?
Give me <vegetables to sow in August>, in Sweden.
What are <drought-hardy grains> for a dry plateau?
Suggest <hens for a cold coop>.
Name <heritage pigs> still raised in Britain.
Which <green manures improve chalky soil>?
What should I call <a brother and sister pair of ferrets>?
List <toys for an indoor Bengal>.
Suggest <treats for a dieting beagle>.
Which <tank mates suit a betta>?
What <plants are safe around tortoises>?
Give me <games for a toddler's train ride>.
I need <lullabies from Scandinavia>.
Name <books on starting kindergarten>.
What <gifts please a godson> who owns everything?
Suggest <warm-ups for a netball squad>.
Which <martial arts suit a stiff accountant>?
Name <Olympic sports with horses>.
List <yoga poses for archers>.
Suggest <openings against the Sicilian>.
Which <board games last under half an hour>?
What are <cozy games about fishing villages>?
Give me <riddles for a treasure hunt> in a vicarage.
Suggest <a craft for the scouts> involving pine cones.
What could I knit with <a single skein of mohair>?
Name <knots every camper should know>.
Recommend <a starter telescope or a kite>, whichever suits Shetland.
What <collectibles fit in a cigar box>?
Suggest <an outfit for a vineyard christening>.
Which <collars flatter a long neck>?
What <shoes go with a teal jumpsuit>?
List <fabrics that breathe> in Singapore.
What <accessories brighten a charcoal suit>?
Which <e-reader shows diagrams clearly>?
Suggest <a backup plan for family videos>.
What <settings save battery> on a fitness band?
List <privacy settings to review on a child's console>.
What <makes a password easy to recall> yet hard to guess?
Suggest <habits for spotting phishing mail> in my inbox.
Which <password managers work offline>?
What <date ideas suit a rainy Tuesday>?
I upset my sister-in-law. Suggest <a peace offering that isn't flowers>.
Name <conversation topics for a silent father>.
What <small rituals keep couples close>?
How about some <ways to cheer up a homesick au pair>?
Which <Italian songs teach the past tense>?
Suggest <tandem partners' discussion topics> for intermediate Korean.
List <untranslatable words from Inuktitut or Welsh>.
What <dictionaries do subtitlers rely on>?
Offer <synonyms for the word gloomy>.
Which <title suits an essay on moss>?
Give me <knock-knock jokes about cutlery>.
Suggest <brain teasers with matchsticks>.
Which <number patterns puzzle eight-year-olds>?
What's <a fun fact for a Monday>?
I'm bored on a layover. Suggest <something to ponder>.
Name <themes for a leap day party>.
What <schedule fits a wedding in a barn>?
Suggest <a packing order for moving house>.
What <kettle lasts longest>, steel or glass?
Recommend <a gift under twenty dollars> for a locksmith.
List <plastic-free swaps for the bathroom>.
Suggest <ways a mosque or chapel could save heat>.
Name <duties of a county clerk>.
What <issues come up at a town hall>?
Which <volunteer roles exist on polling day>?
What <hymns fit a harvest festival>?
Name <etiquette rules for a tea ceremony>.
Which <philosophers wrote about friendship>?
What <sayings predict the weather>?
What <slogans suit a cobbler>?
List <low-cost ads for a llama trekking farm>.
Suggest <a mascot for a credit union>.
Which <hashtags fit a pottery kiln opening>?
What <services could a laundromat add>?
""",
    "write": """
Write <a limerick about a stubborn mule>.
Compose <a lullaby for a hedgehog>, two verses at most.
I'd like <a sonnet on rust>, Shakespearean if you can.
Please draft <an email asking the caretaker to fix the elevator>.
Make <a toast for my stepfather's seventieth birthday> sound less stiff.
Can you write <a haiku on parking tickets>?
Give me <a fable with a heron and a crab>.
I need <a thank-you note to the oncology ward's tea lady>.
Rewrite <'Me and him goes to the quarry'> in correct English.
Correct the grammar: <'Their going too loose there keys.'>
Shorten this sentence: <'Due to the fact that it was raining, we made the decision to stay indoors.'>
Make it friendlier: <'Send the invoice by noon.'>
Turn <'The vase was broken by Otto'> into the active voice.
Polish <'I am writing you for to ask a holiday'> for my manager, would you?
Summarize <the tale of Persephone> in two lines.
Sum up <the pros and cons of heat pumps> for a leaflet.
Boil this down to a headline: <'The council voted to reopen the lido after eleven years.'>
Translate <'Where is the nearest launderette?'> into Dutch.
How would <'The plums are not ripe yet'> read in Japanese?
Put <'Happy name day, dear godmother'> into Greek, please.
Say <'my umbrella is broken'> in Swahili and Hungarian.
Pretend you are <a lighthouse keeper> and greet me at the door.
Play <a grumpy librarian from 1890> while I ask for a thriller.
Let's role-play: you are <a waiter in Lyon>, I order in bad French.
Act as <my job interviewer for a beekeeping apprenticeship>.
You be <a talking teapot>; I'm the guest who prefers coffee.
Imagine <a dialogue between a comma and a full stop>.
Tell me <a joke about geologists>, clean enough for church.
Got <a pun on sourdough>?
Write <a knock-knock joke starring a walrus>.
Compose <an ode to my grandfather's wheelbarrow>.
I want <a bedtime story about a snail who delivers parcels>.
Draft <a cover letter for a zookeeping post>, one page.
Could you prepare <a resignation letter after three years at a cannery>?
Help me word <a LinkedIn summary for a dental hygienist>.
Put together <a reference for a babysitter> who was always punctual.
Write <a speech for a retiring bus driver>.
Craft <a complaint to the airline about my dented cello case>.
Kindly produce <a polite reminder that the library fine is overdue>.
I'd be grateful for <an agenda for Tuesday's safety briefing>.
Quickly, <an apology to the florist for the mix-up>.
Create <a weekly menu for two vegans and a toddler>.
Write up <a recipe card for rhubarb crumble>.
Prepare <a shopping list for a barbecue with nineteen neighbors>.
Invent <a sandwich and its backstory>.
Describe <the smell of a spice bazaar> in one paragraph.
Draft <an allergy note for the school canteen>.
Write <a cheerful poster about washing hands> for a nursery.
Make <a four-week couch-to-5k plan> with rest days.
Compose <a get-well card for a colleague with shingles>.
Write <a Python function that counts vowels>.
Code <a stopwatch in vanilla JavaScript>, no frameworks.
Give me <a SQL query listing patrons with three overdue books>.
I need <a Bash script that renames photos by date>.
Show <a minimal Flask app that returns the phase of the moon>.
Write <a C program printing Pascal's triangle>.
Produce <an R snippet for a scatter plot of penguin weights>.
Draft <a README for a crossword generator>.
Can I get <a CSS rule for a striped table>?
Write <a Java class for a vending machine>, with comments.
Generate <a cron line for every second Wednesday>, if that's possible.
Sketch <a JSON schema for a seed catalog>.
Write <a spreadsheet formula that averages only the weekdays>.
Lay out <a small sample table of tide heights> as CSV.
Write <an essay opening on the Silk Road>.
Make <an outline for a term paper about Frida Kahlo>.
I have to hand in <a lab report on pendulum swings>; draft the abstract.
Write <ten flashcards on the digestive system>.
Prepare <a quiz about volcanoes> for sixth grade.
Craft <a lesson plan on the water cycle>, forty minutes.
Give <a personal statement for a veterinary school applicant> a strong first line.
Write <a diary entry by a Viking cook>.
Compose <a letter from Marie Curie to a young chemist>.
Imagine <a news report from Pompeii's market on a calm day>.
Write <a travel brochure for Neptune>.
Describe <a sunrise on Titan> for a planetarium show.
Create <a myth explaining why owls stay awake>.
Write <a caption for a photo of Iguazu Falls>.
Draft <an audio guide entry on a bronze astrolabe>.
Compose <song lyrics about missing the last tram>, chorus included.
I'd love <a jingle for a hardware shop>.
Write <program notes for a brass band's Christmas concert>.
Review <an imaginary opera set in a greenhouse>.
Pitch <a sitcom about rival lighthouse museums>.
Write <a screenplay page where two tailors argue over a button>.
Give me <a blurb for a mystery set in a monastery>.
Write <the first paragraph of a western with a shy sheriff>.
Continue: <'The postmistress opened the parcel, and inside sat a frog.'>
Write <a letter asking my landlord for permission to paint>.
Draft <a simple loan note between cousins>.
Prepare <a notice to end my lease in October>.
I need <a short consent form for the pottery class>.
Word <a classified ad for a used trombone>.
Write <a budget for a semester in Bologna>.
Compose <a note to the tax office asking for more time>.
Draft <an invoice for tuning two pianos>.
Write <a postcard from a soggy campsite>.
Make <a packing checklist for the Camino>.
Draft <a message to the hostel about our late arrival>.
Write <a sign asking cyclists to ring their bells>.
Please write <a maintenance log for a vintage tractor>.
Draft <a request to the plumber for a quote on a leaking cistern>.
Write <a planting calendar for an allotment in Kent>.
Compose <plant labels with a bit of wit>.
Write <a want ad for someone to feed my iguana>.
Give me <an adoption profile for a three-legged terrier>.
Write <a monologue by a cat locked in the conservatory>.
Draft <a note to the teacher about my son's glasses>.
Make <a chore rota for five siblings>.
Write <an invitation to a dinosaur birthday>.
Create <a rhyme for learning to tie laces>.
Write <a match report for an under-elevens hockey final>.
Compose <a chant for our dragon boat crew>.
Draft <club rules for a badminton hall>.
Write <a training diary template for swimmers>.
Invent <a board game about migrating geese>.
Create <a character sheet for a dwarf cartographer>.
Write <the rules of rock, paper, scissors for robots>.
Design <a scavenger hunt for a botanic garden>.
Write <a pattern description for a ribbed scarf>.
Compose <a caption for my embroidered cushion>.
Write <a product description for corduroy dungarees>.
Give me <a fashion column on the return of brooches>.
Write <a support ticket about a flickering projector>.
Draft <simple instructions for grandma's new tablet>.
Compose <an office notice on choosing longer passphrases>.
Word <a reply declining to share my phone number>.
Draft <a heartfelt apology to my roommate about the broken teacup>.
Write <a eulogy for a beloved choir conductor>.
Compose <a text to a friend I haven't called since spring>.
Write <wedding vows that mention sailing>.
Write <five example sentences with the Spanish word aunque>.
Make <a vocabulary list on carpentry in Norwegian>.
Compose <a logic puzzle with four hats and a parrot>.
Write <a word problem about fractions and pancakes>.
Create <a crossword clue for the answer LANTERN>.
Tell <a two-sentence ghost story that isn't frightening>.
Write <a good morning message for the quilting group>.
Say <something kind to a nervous bride>.
Compose <a to-do list for a lazy Sunday>.
Write <a timeline for planning a family reunion>.
Draft <a letter to the editor about litter on the towpath>.
Write <a pledge for a zero-waste office>.
Create <a leaflet on protecting toads at road crossings>.
Compose <a neutral guide to reading a ballot paper>.
Write <a letter thanking our councilwoman for the crosswalk>.
Draft <minutes of a tenants' association meeting about bins>.
Write <a grace before meals> for guests of several faiths.
Explain through <a short play how Hanukkah candles are lit>.
Compose <a folktale in the style of the Ashanti>.
Write <a Socratic dialogue on whether soup is a drink>.
Give me <a meditation on impermanence and sandcastles>.
Write <a weather forecast in the voice of a pirate>.
Compose <a poem to the first frost>.
Draft <a newsletter for an ostrich farm>.
Write <a farmer's almanac entry for February>.
Create <a business plan summary for a mobile barber>.
Draft <a slogan and tagline for linen napkins>.
Write <an opening-day announcement for a bicycle workshop>.
Write <a radio spot for a secondhand bookshop>.
""",
}
