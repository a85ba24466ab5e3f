"use strict";
(() => {
  // A word's meaning appears on hover, on focus and on a tap; without this script its link leads to the meaning.
  const tip = document.getElementById("tip");
  let shown = null;  // the word whose meaning is shown

  function show(word) {
    const meaning = document.getElementById(decodeURIComponent(word.hash.slice(1)));
    if (!meaning) return;
    shown = word;
    tip.textContent = meaning.textContent;
    tip.hidden = false;
    word.setAttribute("aria-describedby", "tip");
    const box = word.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(box.left, width - tip.offsetWidth - 8));
    const above = box.bottom + tip.offsetHeight + 8 > innerHeight && box.top > tip.offsetHeight + 8;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${scrollY + (above ? box.top - tip.offsetHeight - 6 : box.bottom + 6)}px`;
  }
  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }
  document.querySelectorAll(".tip").forEach((word) => {
    word.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") show(word); });
    word.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    word.addEventListener("focus", () => show(word));
    word.addEventListener("blur", hide);
    word.addEventListener("click", (event) => {
      event.preventDefault();
      show(word);
    });
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".tip")) hide(); });

  // A link to a folded section opens it; on paper nothing is folded.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
  open();
})();
