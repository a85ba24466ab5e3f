// A listener who clicks everything, rates the hidden best 100 and other sounds by position, and identifies every X.
const click = (node) => node.click();
$("listener").value = "Robot Ü";
$("listener").oninput();
if ($("begin").disabled) throw Error("cannot begin");
click($("begin"));
if (JSON.stringify(plan(generator(result.seed))) !== JSON.stringify(trials)) throw Error("another order");
while ($("end").hidden) {
  const trial = trials[place];
  if (!$("next").disabled) throw Error("next is enabled before all sounds were played");
  document.querySelectorAll("#references button, #stimuli button").forEach(click);
  if (!$("next").disabled) throw Error("next is enabled before all questions were answered");
  if (trial.kind === "abx") {
    const side = document.querySelector(`#stimuli input[value=${trial.x}]`);
    side.checked = true;
    side.onchange();
  } else {
    document.querySelectorAll("#stimuli input").forEach((slider, i) => {
      slider.value = trial.stimuli[i].system === TEST.questions[trial.question].hidden ? 100 : i;
      slider.oninput();
    });
  }
  click($("next"));
}
