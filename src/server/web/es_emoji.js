/**
 * What emoji are called in Spanish, in the order of the table in `emoji.js`: by the names of Unicode's CLDR, and a
 * word more for those that are used most.
 */
export const NAMES =
  "pulgar hacia arriba sí|pulgar hacia abajo no|corazón rojo amor|cara llorando de risa|cañón de confeti fiesta|" +
  "manos en oración gracias|cara sonriendo|cara sonriendo con ojos grandes|cara sonriendo con ojos sonrientes|" +
  "cara radiante con ojos sonrientes|cara sonriendo con sudor frío|cara revolviéndose de la risa|" +
  "cara sonriendo ligeramente|cara al revés|cara guiñando el ojo|cara feliz con ojos sonrientes|" +
  "cara sonriendo con aureola|cara sonriendo con corazones|cara sonriendo con ojos de corazón|" +
  "cara lanzando un beso|cara saboreando comida|cara sacando la lengua|cara sacando la lengua y guiñando un ojo|" +
  "cara de loco|cara con manos abrazando|cara pensativa|cara con ceja alzada|cara neutral|cara sin expresión|" +
  "cara sin boca|cara con ojos en blanco|cara sonriendo con superioridad|cara haciendo una mueca|" +
  "cara con la boca abierta|cara estupefacta|cara asombrada|cara sonrojada|cara suplicante|cara llorando|" +
  "cara llorando fuerte|cara gritando de miedo|cara durmiendo|cara de bostezo|cara con mascarilla médica|" +
  "cara con termómetro|cara de náuseas|cabeza explotando|cara sonriendo con gafas de sol|cara de empollón|" +
  "cara de fiesta|cara de confusión|cara con el ceño ligeramente fruncido|cara decepcionada|cara resoplando|" +
  "cara enfadada|cara cabreada|cara con símbolos en la boca|calavera|caca con ojos|cara de payaso|fantasma|" +
  "alienígena|robot|gato sonriendo|mono con los ojos tapados|mano saludando hola|mano levantada|" +
  "señal de aprobación con la mano|dedos juntos apuntando hacia arriba|mano con señal de victoria|dedos cruzados|" +
  "mano haciendo el signo de cuernos|señala a la izquierda|señala a la derecha|señala hacia arriba|" +
  "señala hacia abajo|puño en alto|puño cerrado|manos aplaudiendo|manos levantadas celebrando|apretón de manos|" +
  "bíceps flexionado|cara saludando|persona encogida de hombros|persona con la mano en la frente|" +
  "persona con la mano levantada|persona corriendo|ojos|cerebro|manos formando un corazón|corazón roto|" +
  "corazón naranja|corazón amarillo|corazón verde|corazón azul|corazón morado|corazón negro|cien puntos|colisión|" +
  "símbolo de mareo|símbolo de sueño|fuego|chispas|estrella|estrella brillante|alto voltaje|sol|nube con lluvia|" +
  "copo de nieve|arcoíris|tierra globo terráqueo|planta joven|árbol de hoja caduca|rosa|girasol|" +
  "trébol de cuatro hojas|cara de perro|cara de gato|cara de ratón|cara de conejo|zorro|oso|panda|rana|gallina|" +
  "pingüino|unicornio|abeja|bicho|mariposa|tortuga|pulpo|cangrejo|ballena soltando un chorro|manzana roja|plátano|" +
  "fresa|limón|aguacate|tomate|chile picante|pan de molde|cuña de queso|pizza|hamburguesa|taco|tazón de fideos|" +
  "sushi|cucurucho de helado|trozo de tarta|tarta de cumpleaños|galleta|tableta de chocolate|bebida caliente café|" +
  "tazón de té|jarra de cerveza|jarras de cerveza brindando|copa de vino|balón de fútbol|balón de baloncesto|" +
  "pelota de tenis|diana|trofeo|medalla de oro|mando de videoconsola|dado|guitarra|nota musical|paleta de pintor|" +
  "claqueta|cámara de fotos|coche|bicicleta|locomotora de vapor|avión|cohete|casa|playa y sombrilla|" +
  "reloj despertador|reloj de arena sin tiempo|calendario|chincheta|clip|cuaderno de notas|libros|" +
  "gráfica de evolución ascendente|gráfica de evolución descendente|paquete|sobre|megáfono|campana|candado cerrado|" +
  "llave|llave inglesa|martillo|lupa|bombilla|ordenador portátil|teléfono móvil|pila|tubo de ensayo|mariquita|" +
  "bolsa de dinero|regalo|globo|marca de verificación hecho|casilla con marca de verificación|marca de cruz|" +
  "interrogación roja|exclamación roja|advertencia|prohibido|señal de stop|símbolo de reciclaje|ok|nuevo|más|menos|" +
  "flecha hacia la derecha|flecha hacia la izquierda|flecha hacia arriba|flecha hacia abajo|" +
  "flechas en sentido antihorario|bandera de cuadros|bandera del arcoíris";
