import assert from "node:assert/strict";
import { type Due, DueHeap } from "../../lib/controller/due_heap.ts";

Deno.test("DueHeap pops like a sorted list, whatever was pushed, advanced and counted", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const heap = new DueHeap<Due>();
  const model: Due[] = [];
  const sort = () => model.sort((a, b) => a.due - b.due || a.order - b.order);
  for (let step = 0; step < 20_000; step++) {
    const dice = random(10);
    if (dice < 5) {
      const item = { due: random(100), order: step, at: -1 };
      heap.push(item);
      model.push(item);
    } else if (dice < 7 && model.length > 0) {
      const item = model[random(model.length)]!;
      heap.advance(item, item.due - random(20));
    } else {
      sort();
      assert.equal(heap.peek(), model[0]);
      assert.equal(heap.pop(), model.shift());
    }
    if (step % 100 === 0) assert.equal(heap.countDue(50), model.filter((x) => x.due <= 50).length);
  }
  sort();
  while (model.length > 0) assert.equal(heap.pop(), model.shift());
  assert.equal(heap.pop(), undefined);
});
