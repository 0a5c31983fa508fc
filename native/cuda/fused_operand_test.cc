#include "cuda/fused_operand.h"

#include <string>

#include "plan/parser.h"
#include "testing/testing.h"

using namespace mistralrs;
using namespace mistralrs::cuda;

namespace {

// A layer as Gemma's end: norms onto the residual stream b0, and a gate whose product only one linear reads.
std::string layer(const std::string& change = "", const std::string& to = "") {
  std::string text = R"(plan 1
vocab 64
weight w0 rows=64 cols=32 name=embed
weight w1 rows=32 cols=32 name=o
weight w2 rows=1 cols=32 name=norm
weight w3 rows=16 cols=32 name=gate
weight w4 rows=32 cols=16 name=out
buffer b0 rows=T width=32 at=0
buffer b1 rows=T width=32 at=32
buffer b2 rows=T width=16 at=32
buffer b3 rows=T width=32 at=64
buffer b4 rows=T width=16 at=96
buffer b5 rows=T width=32 at=112
buffer b6 rows=L width=32 at=0
buffer b7 rows=L width=64 at=32
op embed out=b0 weight=w0 scale=1
op linear in=b0 out=b4 weights=w3
op linear in=b0 out=b1 weights=w1
op rms_norm in=b1 out=b0 weight=w2 eps=0.000001 offset=0 heads=1 residual=b0
op linear in=b0 out=b2 weights=w3
op act_mul gate=b2 up=b4 out=b2 act=silu
op linear in=b2 out=b3 weights=w4
op rms_norm in=b3 out=b0 weight=w2 eps=0.000001 offset=0 heads=1 residual=b0
op linear in=b0 out=b5 weights=w1 norm=w2 eps=0.000001 offset=0
op add a=b0 b=b5 out=b0 scale=1
op select_rows in=b0 out=b6
op linear in=b6 out=b7 weights=w0
logits b7
)";
  if (!change.empty()) text.replace(text.find(change), change.size(), to);
  return text;
}

OperandRuns runsOf(const std::string& text, bool prepares = true) {
  return findOperandRuns(parsePlan(text), [=](int) { return prepares; });
}

std::vector<int> producers(const OperandRuns& runs) {
  std::vector<int> ops;
  for (const auto& run : runs.at)
    if (run) ops.push_back(run->producer);
  return ops;
}

}  // namespace

TEST(linears_take_along_what_makes_their_operand) {
  const OperandRuns runs = runsOf(layer());
  CHECK(producers(runs) == (std::vector<int>{3, 5, 7}));
  for (const auto& run : runs.at)
    if (run) CHECK_EQ(run->linear, run->producer + 1);
  CHECK_EQ(runs.sumBuffer, 0);
  CHECK_EQ(runs.regionWidth, 32);
}

TEST(what_an_op_reads_lies_apart_from_what_its_linear_writes) {
  const OperandRuns runs = runsOf(layer());
  // b1 until op 4, b2 from op 4 on; b3 from op 6 on, when b1 is done with.
  CHECK_EQ(runs.at[3]->region, 0);
  CHECK_EQ(runs.at[5]->region, 1);
  CHECK_EQ(runs.at[7]->region, 0);
  CHECK_EQ(runs.numRegions, 2);
}

TEST(linears_leave_alone_what_others_need) {
  const auto without = [](int op, const std::string& change, const std::string& to) {
    std::vector<int> all{3, 5, 7};
    std::erase(all, op);
    CHECK(producers(runsOf(layer(change, to))) == all);
  };
  // The product is read again; the gate lies where the linear writes; the norm's input is read again.
  without(5, "op select_rows in=b0", "op act_mul gate=b2 up=b4 out=b2 act=silu\nop select_rows in=b0");
  without(5, "buffer b3 rows=T width=32 at=64\nbuffer b4 rows=T width=16 at=96", "buffer b3 rows=T width=32 at=64\nbuffer b4 rows=T width=16 at=80");
  without(7, "op add a=b0 b=b5", "op add a=b0 b=b3");
  // The linear adds the sum to its own result.
  without(7, "weights=w1 norm=w2", "weights=w1 residual=b0 norm=w2");
  CHECK(producers(runsOf(layer(), false)).empty());
}
