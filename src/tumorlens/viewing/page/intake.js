// Files that are dropped or chosen: each with its name inside of its folder.

/** All files of a drop, folders to their depths. */
export async function readDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ name: file.name, file }));
  const files = [];
  for (const entry of entries) await walk(entry, "", files);
  return files;
}

/** Files of an <input>. */
export const readChosen = (input) =>
  [...input.files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));

async function walk(entry, folder, files) {
  const name = `${folder}${entry.name}`;
  if (entry.isFile) {
    files.push({ name, file: await new Promise((done, fail) => entry.file(done, fail)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {  // a reader gives a hundred at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const one of some) await walk(one, `${name}/`, files);
  }
}
