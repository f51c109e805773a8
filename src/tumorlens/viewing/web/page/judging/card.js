// What lies in the metadata of a model file: a walk over the top fields of its protobuf
// (ModelProto), where metadata_props is field 14, with key 1 and value 2.

/** @param {Uint8Array} bytes of the .onnx file @returns {{card: object, studies: object | null}} */
export function readMetadata(bytes) {
  const words = new TextDecoder(), entries = new Map();
  for (const entry of fields(bytes, 14)) {
    const [key] = fields(entry, 1), [value] = fields(entry, 2);
    if (key && value) entries.set(words.decode(key), value);
  }
  const parse = (name) => (entries.has(name) ? JSON.parse(words.decode(entries.get(name))) : null);
  const card = parse("tumorlens.card");
  if (!card) throw new Error("this .onnx file has no card: it is no tumorlens model");
  return { card, studies: parse("tumorlens.studies") };
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
