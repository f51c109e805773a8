// What the page asks of the server behind it. All paths are relative: the token is part of them.

export async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(told?.error ?? `The viewer answered ${answer.status}.`);
  return told;
}

export const tellState = () => ask("api/state");
export const tellJob = (job) => ask(`api/jobs/${job}`);
export const tellResult = (job) => ask(`api/jobs/${job}/result`);
export const judgeExamples = () => ask("api/examples", { method: "POST" });
export const deleteJob = (job) => ask(`api/jobs/${job}`, { method: "DELETE" });

/** Hands in files and lets them be judged; gives the job. `tell` hears how many were taken. */
export async function judgeFiles(files, tell) {
  const { upload } = await ask("api/uploads", { method: "POST" });
  let taken = 0;
  for (const { name, file } of files) {
    const path = `api/uploads/${upload}/files?name=${encodeURIComponent(name)}`;
    await ask(path, { method: "POST", body: file });
    tell(++taken, files.length);
  }
  return ask(`api/uploads/${upload}/judge`, { method: "POST" });
}

export const placeOf = (job, scene, name) => `api/jobs/${job}/scenes/${scene}/${name}`;
