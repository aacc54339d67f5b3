/**
 * What emoji are called in German, in the order of the table in `emoji.js`: by the names of Unicode's CLDR, and a
 * word more for those that are used most.
 */
export const NAMES =
  "daumen hoch ja|daumen runter nein|rotes herz liebe|gesicht mit freudentränen|konfettibombe feier|" +
  "zusammengelegte handflächen danke bitte|grinsendes gesicht|grinsendes gesicht mit großen augen|" +
  "grinsendes gesicht mit lachenden augen|strahlendes gesicht mit lachenden augen|" +
  "grinsendes gesicht mit schweißtropfen|sich vor lachen auf dem boden wälzen|leicht lächelndes gesicht|" +
  "umgekehrtes gesicht|zwinkerndes gesicht|lächelndes gesicht mit lachenden augen|" +
  "lächelndes gesicht mit heiligenschein|lächelndes gesicht mit herzen|lächelndes gesicht mit herzförmigen augen|" +
  "kuss zuwerfendes gesicht|sich die lippen leckendes gesicht|gesicht mit herausgestreckter zunge|" +
  "zwinkerndes gesicht mit herausgestreckter zunge|irres gesicht|gesicht mit umarmenden händen|" +
  "nachdenkendes gesicht|gesicht mit hochgezogenen augenbrauen|neutrales gesicht|ausdrucksloses gesicht|" +
  "gesicht ohne mund|augen verdrehendes gesicht|süffisant lächelndes gesicht|grimassen schneidendes gesicht|" +
  "gesicht mit offenem mund|verdutztes gesicht|erstauntes gesicht|errötetes gesicht mit großen augen|" +
  "bettelndes gesicht|weinendes gesicht|heulendes gesicht|vor angst schreiendes gesicht|schlafendes gesicht|" +
  "gähnendes gesicht|gesicht mit atemschutzmaske|gesicht mit fieberthermometer|würgendes gesicht|" +
  "explodierender kopf|lächelndes gesicht mit sonnenbrille|strebergesicht|partygesicht|verwundertes gesicht|" +
  "betrübtes gesicht|enttäuschtes gesicht|schnaubendes gesicht|verärgertes gesicht|schmollendes gesicht|" +
  "gesicht mit symbolen über dem mund|totenkopf|kothaufen|clown-gesicht|gespenst|außerirdischer|roboter|" +
  "grinsende katze|sich die augen zuhaltendes affengesicht|winkende hand hallo|erhobene hand|ok-zeichen|" +
  "zusammengedrückte finger|victory-geste|hand mit gekreuzten fingern|teufelsgruß|zeigt nach links|" +
  "zeigt nach rechts|zeigt nach oben|zeigt nach unten|erhobene faust|geballte faust|klatschende hände|" +
  "zwei erhobene handflächen|handschlag|angespannter bizeps|salutierendes gesicht|schulterzuckende person|" +
  "sich an den kopf fassende person|person mit erhobenem arm|laufende person|augen|gehirn|hände die herz bilden|" +
  "gebrochenes herz|oranges herz|gelbes herz|grünes herz|blaues herz|lila herz|schwarzes herz|100 punkte|" +
  "zusammenstoß|schwindlig|schlafen|feuer|funkelnde sterne|stern|funkelnder stern|hochspannung|sonne|" +
  "wolke mit regen|schneeflocke|regenbogen|erde globus|spross|laubbaum|rose|sonnenblume|glücksklee|hundegesicht|" +
  "katzengesicht|mäusegesicht|hasengesicht|fuchs|bär|panda|frosch|huhn|pinguin|einhorn|biene|raupe|schmetterling|" +
  "schildkröte|oktopus|krebs|blasender wal|roter apfel|banane|erdbeere|zitrone|avocado|tomate|peperoni|brot|" +
  "käsestück|pizza|hamburger|taco|schüssel und essstäbchen|sushi|softeis|torte|geburtstagskuchen|keks|" +
  "schokoladentafel|heißgetränk kaffee|teetasse ohne henkel|bierkrug|bierkrüge|weinglas|fußball|basketball|" +
  "tennisball|darts|pokal|goldmedaille|gamepad|spielwürfel|gitarre|musiknote|mischpalette|filmklappe|fotoapparat|" +
  "auto|fahrrad|dampflokomotive|flugzeug|rakete|haus|strand mit sonnenschirm|wecker|sanduhr|kalender|reißzwecke|" +
  "büroklammer|papier und bleistift|bücherstapel|aufwärtstrend|abwärtstrend|paket|briefumschlag|megafon|glocke|" +
  "geschlossenes schloss|schlüssel|schraubenschlüssel|hammer|lupe|glühbirne|laptop|mobiltelefon|batterie|" +
  "reagenzglas|marienkäfer|geldsack|geschenk|luftballon|weißes häkchen erledigt|abgehaktes kästchen|kreuzzeichen|" +
  "rotes fragezeichen|rotes ausrufezeichen|warnung|verboten|stoppschild|recycling-symbol|ok|neu|plus|minus|" +
  "pfeil nach rechts|pfeil nach links|pfeil nach oben|pfeil nach unten|pfeile gegen den uhrzeigersinn|zielflagge|" +
  "regenbogenflagge";
