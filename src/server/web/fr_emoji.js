/**
 * What emoji are called in French, in the order of the table in `emoji.js`: by the names of Unicode's CLDR, and a
 * word more for those that are used most.
 */
export const NAMES =
  "pouce vers le haut oui|pouce vers le bas non|cœur rouge amour|visage riant aux larmes|cotillons fête|" +
  "mains en prière merci|visage rieur|visage souriant avec de grands yeux|visage très souriant aux yeux rieurs|" +
  "visage souriant aux yeux rieurs|visage souriant avec une goutte de sueur|se rouler par terre de rire|" +
  "visage avec un léger sourire|tête à l’envers|visage faisant un clin d’œil|visage souriant avec yeux rieurs|" +
  "visage souriant avec auréole|visage souriant avec cœurs|visage souriant avec yeux en forme de cœur|" +
  "visage envoyant un bisou|miam|visage qui tire la langue|visage qui tire la langue et fait un clin d’œil|" +
  "tête de fou|visage qui fait un câlin|visage en pleine réflexion|visage avec les sourcils relevés|visage neutre|" +
  "visage sans expression|visage sans bouche|visage roulant des yeux|visage avec un sourire malin|visage grimaçant|" +
  "visage avec bouche ouverte|visage ébahi|visage stupéfait|visage qui rougit|visage implorant|visage qui pleure|" +
  "visage qui pleure à chaudes larmes|visage qui hurle de peur|visage somnolent|visage bâillant|visage avec masque|" +
  "visage avec thermomètre|visage nauséeux|tête qui explose|visage avec lunettes de soleil|visage de geek|" +
  "visage festif|visage confus|visage légèrement mécontent|visage déçu|visage avec fumée sortant des narines|" +
  "visage en colère|visage boudeur|visage avec des symboles dans la bouche|crâne|tas de crotte|visage de clown|" +
  "fantôme|alien|robot|chat qui sourit|singe ne rien voir|signe de la main bonjour|main levée|ok|" +
  "bout des doigts joints|v de la victoire|doigts croisés|cornes avec les doigts|montre à gauche|montre à droite|" +
  "montre en haut|montre en bas|poing levé|poing de face|applaudissements|mains levées|poignée de main|" +
  "biceps contracté|visage qui fait un salut militaire|personne qui hausse les épaules|" +
  "personne avec la paume sur le visage|personne qui lève la main|personne qui court|yeux|cerveau|" +
  "mains qui forment un cœur|cœur brisé|cœur orange|cœur jaune|cœur vert|cœur bleu|cœur violet|cœur noir|" +
  "cent points|explosion|étourdissement|endormi|feu|étincelles|étoile|étoile brillante|haute tension|soleil|" +
  "nuage avec pluie|flocon|arc-en-ciel|terre globe|jeune pousse|arbre à feuilles caduques|rose|tournesol|" +
  "trèfle à quatre feuilles|tête de chien|tête de chat|tête de souris|tête de lapin|renard|ours|panda|grenouille|" +
  "poule|pingouin|licorne|abeille|chenille|papillon|tortue|pieuvre|crabe|baleine soufflant par son évent|" +
  "pomme rouge|banane|fraise|citron|avocat|tomate|piment rouge|pain|part de fromage|pizza|hamburger|taco|" +
  "bol fumant|sushi|glace italienne|gâteau sablé|gâteau d’anniversaire|cookie|barre chocolatée|boisson chaude café|" +
  "tasse|chope|chopes de bière|verre de vin|ballon de football|basket|tennis|dans le mille|trophée|médaille d’or|" +
  "jeu vidéo|dés|guitare|note de musique|palette de peinture|clap|appareil photo|voiture|vélo|locomotive|avion|" +
  "fusée|maison|plage avec parasol|réveil|sablier|calendrier|punaise|trombone|mémo|livres|graphique en hausse|" +
  "graphique en baisse|colis|enveloppe|porte-voix|cloche|cadenas fermé|clé|clé à molette|marteau|loupe|ampoule|" +
  "ordinateur portable|téléphone portable|pile|tube à essai|coccinelle|sac plein d’argent|cadeau|ballon gonflable|" +
  "bouton coché fait|case cochée|croix|point d’interrogation rouge|point d’exclamation rouge|" +
  "symbole d’avertissement|symbole d’interdiction|stop|symbole recyclage|ok|nouveau|plus|moins|flèche droite|" +
  "flèche gauche|flèche haut|flèche bas|flèches dans le sens antihoraire|drapeau à damier|drapeau arc-en-ciel";
