// A listener who plays, switches, clicks a picture, pauses and uses the keyboard; returns what happened.
(async () => {
  const root = document.querySelector(".player");
  const { player } = root;
  const until = async (test) => { while (!test()) await new Promise((resolve) => setTimeout(resolve, 10)); };
  const gains = () => player.sound.running.gains.map((gain) => Math.round(gain.gain.value * 100) / 100);
  const result = {};
  player.button.click();
  await until(() => player.sound.position > 0.1);
  result.started = player.button.textContent;
  result.gains = [gains()];
  const before = player.sound.position;
  root.querySelectorAll(".switch input")[1].click();
  result.switched = [before, player.sound.position];
  await until(() => gains()[1] === 1);
  result.gains.push(gains());
  const box = player.pictures.getBoundingClientRect();
  player.rows[0].firstElementChild.dispatchEvent(
    new MouseEvent("click", { bubbles: true, clientX: box.left + 0.75 * box.width }));
  result.clicked = player.sound.position;
  result.heard_after_click = player.rows.map((row) => row.classList.contains("heard"));
  await until(() => player.sound.running);
  player.button.click();
  result.paused = player.sound.position;
  await new Promise((resolve) => setTimeout(resolve, 100));
  result.still = player.sound.position;
  player.pictures.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
  result.home = player.sound.position;
  result.value = player.pictures.getAttribute("aria-valuenow");
  player.seek(1.8);
  player.button.click();
  await until(() => player.sound.running);
  await until(() => !player.sound.running);  // the end of the music
  result.ended = [player.sound.position, player.button.textContent];
  return result;
})()
