// The card of a model, from the metadata of the .onnx file itself: a walk over the top fields of its
// protobuf (ModelProto), where metadata_props is field 14, with key 1 and value 2.

/** @param {Uint8Array} bytes of the .onnx file @returns {object} the card */
export function readCard(bytes) {
  const words = new TextDecoder();
  for (const entry of fields(bytes, 14)) {
    const [key] = fields(entry, 1), [value] = fields(entry, 2);
    if (words.decode(key) === "tumorlens.card") return JSON.parse(words.decode(value));
  }
  throw new Error("this .onnx file has no card: it is no tumorlens model");
}

function fields(bytes, wanted) {
  const found = [];
  let place = 0;
  const number = () => {
    let value = 0, factor = 1, byte;
    do {
      byte = bytes[place++];
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte & 128);
    return value;
  };
  while (place < bytes.length) {
    const tag = number(), kind = tag & 7;
    if (kind === 0) number();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else {
      const length = number();
      if (Math.floor(tag / 8) === wanted) found.push(bytes.subarray(place, place + length));
      place += length;
    }
  }
  return found;
}
