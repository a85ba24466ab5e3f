"use strict";
(() => {
  const FADE_S = 0.015;  // long enough that a switch, a stop and a seek make no click
  let context = null;  // one for all players, made in the first click, as browsers want it
  let playing = null;  // the player that plays now

  function audioContext() {
    if (navigator.audioSession) navigator.audioSession.type = "playback";  // an iPhone's mute switch leaves music on
    context ??= new AudioContext();
    context.resume();
    return context;
  }

  async function bytesOf(address) {
    if (!address.startsWith("data:")) return (await fetch(address)).arrayBuffer();
    const text = atob(address.slice(address.indexOf(",") + 1));
    return Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer;
  }

  // All versions run at once and only the chosen one is audible, so a switch keeps the place to the sample.
  class SwitchedSound {
    constructor(addresses, seconds, loop) {
      Object.assign(this, { addresses, seconds, loop, at: 0, chosen: 0, running: null, wanted: false });
      this.ended = () => {};
    }

    get position() {
      if (!this.running) return this.at;
      const heard = context.currentTime - (context.outputLatency || 0) - this.running.began;
      const at = this.at + Math.max(0, heard);
      return this.loop ? at % this.seconds : Math.min(at, this.seconds);
    }

    async play() {
      this.wanted = true;
      const audio = audioContext();
      this.buffers ??= Promise.all(
        this.addresses.map(async (address) => audio.decodeAudioData(await bytesOf(address))));
      const buffers = await this.buffers;
      if (!this.wanted || this.running) return;
      this.seconds = Math.min(this.seconds, ...buffers.map((buffer) => buffer.duration));
      if (this.at >= this.seconds) this.at = 0;
      this.#start(audio, buffers);
    }

    #start(audio, buffers) {
      const began = audio.currentTime + 0.005;
      const master = new GainNode(audio, { gain: 0 });
      master.gain.setValueAtTime(0, began);
      master.gain.linearRampToValueAtTime(1, began + FADE_S);
      master.connect(audio.destination);
      const gains = buffers.map((_, i) => new GainNode(audio, { gain: i === this.chosen ? 1 : 0 }));
      const sources = buffers.map((buffer, i) => {
        const source = new AudioBufferSourceNode(audio, { buffer, loop: this.loop, loopEnd: this.seconds });
        source.connect(gains[i]).connect(master);
        source.start(began, this.at);
        return source;
      });
      const running = (this.running = { began, master, gains, sources });
      sources[0].onended = () => {
        if (this.running !== running) return;  // it was stopped
        Object.assign(this, { running: null, wanted: false, at: 0 });
        this.ended();
      };
    }

    pause() {
      this.wanted = false;
      if (!this.running) return;
      const { master, sources } = this.running;
      this.at = this.position;
      this.running = null;
      master.gain.setTargetAtTime(0, context.currentTime, FADE_S / 4);
      sources.forEach((source) => source.stop(context.currentTime + 2 * FADE_S));
    }

    seek(seconds) {
      const wanted = this.wanted;
      this.pause();
      this.at = Math.min(Math.max(seconds, 0), this.seconds);
      return wanted ? this.play() : Promise.resolve();
    }

    choose(version) {
      this.chosen = version;
      this.running?.gains.forEach((gain, i) =>
        gain.gain.setTargetAtTime(i === version ? 1 : 0, context.currentTime, FADE_S / 4));
    }
  }

  class Player {
    constructor(root, number) {
      const [find, all] = [(name) => root.querySelector(name), (name) => [...root.querySelectorAll(name)]];
      this.root = root;
      this.pictures = find(".pictures");
      this.rows = all(".picture");
      this.head = find(".playhead");
      this.button = find(".play");
      this.time = find(".time");
      this.inputs = all(".switch input");
      this.sound = new SwitchedSound(all(".plain audio").map((audio) => audio.src), Number(root.dataset.seconds),
        root.dataset.loop === "true");
      this.sound.ended = () => this.pause();
      this.inputs.forEach((input, i) => {
        input.name = `version-${number}`;
        input.checked = i === 0;
        input.onchange = () => this.choose(i);
      });
      this.button.onclick = () => (this.sound.wanted ? this.pause() : this.play());
      this.pictures.onclick = (event) => this.click(event);
      this.pictures.onkeydown = (event) => this.key(event);
      root.classList.add("ready");
      root.player = this;
      this.choose(0);
    }

    async play() {
      if (playing !== this) playing?.pause();
      playing = this;
      this.mark(true);
      try {
        await this.sound.play();
      } catch (error) {
        this.fail(error);
      }
      this.follow();
    }

    pause() {
      this.sound.pause();
      this.mark(false);
      this.draw();
    }

    fail(error) {
      this.pause();
      this.root.classList.remove("ready");  // shows the browser's plain players
      this.root.querySelector(".trouble").textContent =
        `The sounds cannot be switched here (${error.message}); play them one by one, or open the page in another browser.`;
    }

    mark(isPlaying) {
      this.root.classList.toggle("playing", isPlaying);
      this.button.lastElementChild.textContent = isPlaying ? "Pause" : "Play";
    }

    choose(version) {
      this.sound.choose(version);
      this.rows.forEach((row, i) => row.classList.toggle("heard", i === version));
      this.inputs[version].checked = true;
      this.draw();
    }

    seek(seconds) {
      this.sound.seek(seconds).catch((error) => this.fail(error));
      this.draw();
    }

    click(event) {
      const version = this.rows.findIndex((row) => row.contains(event.target));
      if (version >= 0) this.choose(version);
      const box = this.pictures.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.sound.seconds);
      if (!this.sound.wanted) this.play();
    }

    key(event) {
      const { position, seconds } = this.sound;
      const step = Math.min(1, seconds / 8);
      const places = { ArrowLeft: position - step, ArrowDown: position - step, ArrowRight: position + step,
        ArrowUp: position + step, Home: 0, End: seconds };
      if (event.key === " " || event.key === "Enter") this.button.click();
      else if (event.key in places) this.seek(places[event.key]);
      else return;
      event.preventDefault();
    }

    follow() {
      this.draw();
      if (this.sound.running) requestAnimationFrame(() => this.follow());
    }

    draw() {
      const { position, seconds, chosen } = this.sound;
      const text = `${position.toFixed(1)} / ${seconds.toFixed(1)} s`;
      this.head.style.left = `${(100 * position) / seconds}%`;
      if (this.time.textContent === text && this.shown === chosen) return;
      this.shown = chosen;
      this.time.textContent = text;
      this.pictures.setAttribute("aria-valuenow", position.toFixed(1));
      this.pictures.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${seconds.toFixed(1)} seconds, ${this.inputs[chosen].value}`);
    }
  }

  document.querySelectorAll(".player:not(.ready)").forEach((root, number) => new Player(root, number));
})();
