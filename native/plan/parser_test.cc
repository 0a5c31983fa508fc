#include "plan/parser.h"

#include "testing/testing.h"

namespace mistralrs {
namespace {

// A plan with every statement and every op, that the tables below break one line at a time.
const std::vector<std::string> kGood = {
    /* 1*/ "plan 1",
    /* 2*/ "vocab 40",
    /* 3*/ "group 0 kind=full kv_heads=1 head_dim=4 layers=1 page_tokens=16",
    /* 4*/ "group 1 kind=sliding window=8 kv_heads=1 head_dim=4 layers=2 page_tokens=32",
    /* 5*/ "rope r0 dim=4 factor=1 inv_freq=1,0.25",
    /* 6*/ "weight w0 rows=40 cols=8 name=embed tokens",
    /* 7*/ "weight w1 rows=1 cols=8 name=norm",
    /* 8*/ "weight w2 rows=8 cols=8 name=q",
    /* 9*/ "weight w3 rows=4 cols=8 name=k",
    /*10*/ "weight w4 rows=1 cols=4 name=head_norm",
    /*11*/ "weight w5 rows=1 cols=1 name=scalar",
    /*12*/ "buffer b0 rows=T width=8 at=0",
    /*13*/ "buffer b1 rows=T width=16 at=16",
    /*14*/ "buffer b2 rows=T width=8 at=32",
    /*15*/ "buffer b3 rows=T width=8 at=16",
    /*16*/ "buffer b4 rows=L width=8 at=0",
    /*17*/ "buffer b5 rows=L width=40 at=16",
    /*18*/ "op embed out=b0 weight=w0 scale=2.5",
    /*19*/ "op linear in=b0 out=b1 weights=w2,w3,w3 biases=w1,-,w4 norm=w1 eps=1e-06 offset=1",
    /*20*/ "op norm_rope in=b1[0:8] out=b1[0:8] weight=w4 eps=1e-6 offset=0 rope=r0 heads=2",
    /*21*/ "op rope in=b1[8:12] out=b1[8:12] rope=r0 heads=1",
    /*22*/ "op kv_write k=b1[8:12] v=b1[12:16] group=1 layer=1",
    /*23*/ "op attention q=b1[0:8] out=b2 group=1 layer=1 heads=2 scale=0.5 softcap=50",
    /*24*/ "op linear in=b2 out=b0 weights=w2 residual=b0",
    /*25*/ "op gated_linear in=b0 out=b3 gate=w2 up=w2 act=gelu_tanh",
    /*26*/ "op rms_norm in=b3 out=b0 weight=one eps=1e-5 offset=0 heads=1 residual=b0 scale=w5",
    /*27*/ "op add a=b0 b=b3 out=b3 scale=1",
    /*28*/ "op scale in=b3 out=b3 weight=w5",
    /*29*/ "op act_mul gate=b3 up=b0 out=b3 act=silu",
    /*30*/ "op select_rows in=b3 out=b4",
    /*31*/ "op linear in=b4 out=b5 weights=w0",
    /*32*/ "op softcap in=b5 out=b5 cap=30",
    /*33*/ "logits b5",
};

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(parserReadsEveryStatement) {
  const Plan plan = parsePlan(join(kGood));
  CHECK_EQ(plan.vocab, 40);
  CHECK_EQ(plan.groups.size(), 2u);
  CHECK_EQ(plan.groups[0].window, 0);
  CHECK_EQ(plan.groups[1].window, 8);
  CHECK_EQ(plan.groups[1].pageTokens, 32);
  CHECK_EQ(plan.ropes[0].invFreq[1], 0.25f);
  CHECK_EQ(plan.weights[0].name, "embed tokens");
  CHECK_EQ(plan.arenaWidth[0], 40);
  CHECK_EQ(plan.arenaWidth[1], 56);
  CHECK_EQ(plan.ops.size(), 15u);
  const Op& linear = plan.ops[1];
  CHECK((linear.weights == std::vector<int>{2, 3, 3}));
  CHECK((linear.biases == std::vector<int>{1, -1, 4}));
  CHECK(linear.norm.present && linear.norm.weight == 1 && linear.norm.offset == 1);
  CHECK_EQ(linear.norm.eps, 1e-6f);
  CHECK_EQ(linear.line, 19);
  CHECK((plan.ops[2].in == View{1, 0, 8}));
  CHECK_EQ(plan.ops[2].heads, 2);
  CHECK_EQ(plan.ops[5].softcap, 50.0f);
  CHECK((plan.ops[6].residual == View{0, 0, 8}));
  CHECK(plan.ops[7].act == Act::kGeluTanh && !plan.ops[7].norm.present);
  CHECK(plan.ops[8].norm.weight == -1 && plan.ops[8].scaleWeight == 5);
  CHECK_EQ(plan.logits, 5);
}

TEST(parserTakesCarriageReturnsAndBlankLines) {
  std::string text;
  for (const std::string& line : kGood) text += line + "\r\n\n";
  CHECK_EQ(parsePlan(text).ops.size(), 15u);
}

// Line `line` (from 1) replaced by `text`; the error must say `message`, and where.
TEST(parserNamesWhatIsWrong) {
  const struct { int line; const char *text, *message; } cases[] = {
      {1, "plan 2", "line 1 (plan 2): version is '2'"},
      {1, "vocab 40", "first statement must be 'plan 1'"},
      {2, "plan 1", "there is a plan statement already"},
      {2, "vocab 0", "vocab is '0', needs an integer of 1 to"},
      {2, "vocab 99999999999", "vocab is '99999999999'"},
      {3, "group 1 kind=full kv_heads=1 head_dim=4 layers=1 page_tokens=16", "the next one is 0"},
      {3, "group 0 kind=ful kv_heads=1 head_dim=4 layers=1 page_tokens=16", "kind is 'ful'"},
      {3, "group 0 kind=full window=4 kv_heads=1 head_dim=4 layers=1 page_tokens=16", "unknown key 'window'"},
      {3, "group 0 kind=full kv_heads=1 head_dim=5 layers=1 page_tokens=16", "head_dim is 5, needs an even number"},
      {3, "group 0 kind=full kv_heads=1 head_dim=4 layers=1 page_tokens=24", "page_tokens is 24"},
      {3, "group 0 kind=full kv_heads=1 head_dim=4 page_tokens=16", "layers is missing"},
      {4, "group 1 kind=sliding kv_heads=1 head_dim=4 layers=2 page_tokens=32", "window is missing"},
      {5, "rope r0 dim=4 factor=1 inv_freq=1", "dim 4 needs 2 frequencies, inv_freq has 1"},
      {5, "rope r0 dim=4 factor=nan inv_freq=1,1", "factor is 'nan', needs a finite number"},
      {5, "rope r0 dim=4 factor=1 inv_freq=1,", "inv_freq is ''"},
      {5, "rope r0 dim=4 factor=1e39 inv_freq=1,1", "factor is '1e39'"},
      {6, "weight w0 rows=40 cols=8 name=norm", "line 7 (weight w1): there is a weight named norm already"},
      {6, "weight w0 rows=40 cols=8 name=", "name is empty"},
      {6, "weight w0 rows=-1 cols=8 name=x", "rows is '-1'"},
      {6, "weight w0 rows=40 rows=40 cols=8 name=x", "rows is given twice"},
      {12, "buffer b0 rows=X width=8 at=0", "rows is 'X', needs T or L"},
      {12, "buffer b0 rows=T width=8 at=8", "at is 8, needs a multiple of 16"},
      {13, "buffer b7 rows=T width=16 at=16", "the next one is b1"},
      {18, "op embedd out=b0 weight=w0 scale=1", "line 18 (op embedd): unknown op"},
      {18, "op embed out=b9 weight=w0 scale=1", "out is 'b9', needs a declared bN; there are 6"},
      {18, "op embed out=b0 weight=w9 scale=1", "weight is 'w9', needs a declared wN; there are 6"},
      {18, "op embed out=b0[0:9] weight=w0 scale=1", "out is '9', needs an integer of 1 to 8"},
      {18, "op embed out=b0[4:4] weight=w0 scale=1", "out is '4', needs an integer of 5 to 8"},
      {18, "op embed out=b0[0-8] weight=w0 scale=1", "needs the form bN or bN[begin:end]"},
      {18, "op embed out=b0 weight=w0 scale", "expected key=value, got 'scale'"},
      {18, "op embed out=b0 weight=w0 scale=1 extra=1", "unknown key 'extra'"},
      {18, "op embed out=b0 weight=w0", "scale is missing"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 norm=w1 eps=1e-06", "offset is missing"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 eps=1e-06 offset=0", "unknown key 'eps'"},
      {20, "op norm_rope in=b1[0:8] out=b1[0:8] weight=w4 eps=1e-6 offset=0 rope=r1 heads=2", "rope is 'r1'"},
      {20, "op norm_rope in=b1[0:8] out=b1[0:8] weight=w4 eps=1e-6 offset=0 rope=r0 heads=0", "heads is '0'"},
      {29, "op act_mul gate=b3 up=b0 out=b3 act=relu", "act is 'relu'"},
      {33, "logits b6", "logits is 'b6'"},
      {33, "", "there is no logits or hidden statement"},
      {33, "logits b5\nlogits b5", "nothing may follow the logits statement"},
      {33, "logits b5 x=1", "unknown key 'x'"},
      {33, "frobnicate", "unknown statement"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> lines = kGood;
    lines[static_cast<size_t>(c.line - 1)] = c.text;
    CHECK_ERROR("invalid_plan", c.message, parsePlan(join(lines)));
  }
  CHECK_ERROR("invalid_plan", "the plan is empty", parsePlan(""));
  CHECK_ERROR("invalid_plan", "there is no vocab", parsePlan("plan 1\nbuffer b0 rows=L width=1 at=0\nlogits b0"));
}

TEST(validatorNamesShapesThatDoNotFit) {
  const struct { int line; const char *text, *message; } cases[] = {
      {18, "op embed out=b1 weight=w0 scale=1", "weight w0 (embed tokens) is [40, 8], needs [any, 16]"},
      {19, "op linear in=b0 out=b1 weights=w2,w3", "line 19 (op linear): out is 16 wide, the sum of the weights' rows is 12"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w4", "weight w4 (head_norm) is [1, 4], needs [any, 8]"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 biases=w1,w4", "2 biases for 3 weights"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 biases=w4,-,-", "bias w4 (head_norm) is [1, 4], needs [1, 8]"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 norm=w4 eps=1 offset=0", "norm weight w4 (head_norm) is [1, 4], needs [1, 8]"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 norm=w1 eps=0 offset=0", "eps is 0"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 norm=w1 eps=1 offset=2", "offset is 2"},
      {19, "op linear in=b0 out=b1 weights=w2,w3,w3 residual=b0", "residual is 8 wide, out is 16"},
      {20, "op norm_rope in=b1[0:8] out=b1[0:8] weight=w4 eps=1e-6 offset=0 rope=r0 heads=3", "3 heads do not divide a width of 8"},
      {20, "op norm_rope in=b1[0:8] out=b1[0:8] weight=one eps=1e-6 offset=0 rope=r0 heads=4", "rope of dim 4 over heads of 2"},
      {21, "op rope in=b1[8:12] out=b1[8:16] rope=r0 heads=1", "out is 8 wide, in is 4"},
      {22, "op kv_write k=b1[8:16] v=b1[12:16] group=1 layer=1", "k is 8 wide, kv_heads * head_dim is 4"},
      {22, "op kv_write k=b1[8:12] v=b1[12:16] group=2 layer=0", "group is 2, there are 2"},
      {22, "op kv_write k=b1[8:12] v=b1[12:16] group=1 layer=2", "layer is 2, group 1 has 2"},
      {23, "op attention q=b1[0:8] out=b2 group=1 layer=1 heads=1 scale=0.5 softcap=0", "the head size of q is 8 wide, head_dim of the group is 4"},
      {23, "op attention q=b1[0:8] out=b2 group=1 layer=1 heads=2 scale=0.5 softcap=-1", "softcap is -1"},
      {23, "op attention q=b1[0:8] out=b2 group=1 layer=0 heads=2 scale=0.5 softcap=0", "layer 0 of group 1 is read before a kv_write"},
      {25, "op gated_linear in=b0 out=b3 gate=w2 up=w3 act=silu", "up w3 (k) is [4, 8], needs [8, 8]"},
      {26, "op rms_norm in=b3 out=b0 weight=w1 eps=1e-5 offset=0 heads=2", "norm weight w1 (norm) is [1, 8], needs [1, 4]"},
      {26, "op rms_norm in=b3 out=b0 weight=w1 eps=1e-5 offset=0 heads=1 scale=w4", "scale w4 (head_norm) is [1, 4], needs [1, 1]"},
      {27, "op add a=b0 b=b3[0:4] out=b3 scale=1", "the second operand is 4 wide, the first is 8"},
      {28, "op scale in=b3 out=b3 weight=w1", "weight w1 (norm) is [1, 8], needs [1, 1]"},
      {30, "op select_rows in=b3 out=b0", "needs an in of T rows and an out of L rows"},
      {31, "op linear in=b3 out=b5 weights=w0", "mixes buffers of T rows and of L rows"},
      {31, "op rope in=b4 out=b4 rope=r0 heads=2", "needs buffers of T rows"},
      {32, "op softcap in=b5 out=b5 cap=0", "cap is 0"},
      {33, "logits b4", "b4 is [L, 8], needs [L, 40]"},
      {33, "logits b0", "b0 is [T, 8], needs [L, 40]"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> lines = kGood;
    lines[static_cast<size_t>(c.line - 1)] = c.text;
    CHECK_ERROR("invalid_plan", c.message, parsePlan(join(lines)));
  }
}

TEST(parserReadsPlansOfHiddenStates) {
  std::vector<std::string> lines = kGood;
  lines[22] += " causal=0";
  lines[29] = "op mean_rows in=b3 out=b4";
  lines[32] = "hidden b4";
  const Plan plan = parsePlan(join(lines));
  CHECK(!plan.sampled && plan.wholeSequences);
  CHECK(!plan.ops[5].causal);
  CHECK(parsePlan(join(kGood)).sampled && !parsePlan(join(kGood)).wholeSequences);
  lines[22] = kGood[22] + " causal=2";
  CHECK_ERROR("invalid_plan", "causal", parsePlan(join(lines)));
  lines[22] = kGood[22];
  lines[32] = "hidden b3";
  CHECK_ERROR("invalid_plan", "b3 is [T, 8], needs [L, any]", parsePlan(join(lines)));
  lines[29] = "op mean_rows in=b3 out=b0";
  CHECK_ERROR("invalid_plan", "an in of T rows and an out of L rows", parsePlan(join(lines)));
}

TEST(validatorFollowsDataThroughBuffers) {
  const struct { int line; const char *text, *message; } cases[] = {
      {18, "", "line 19 (op linear): reads b0[0:8], which is not written"},
      {18, "op embed out=b2 weight=w0 scale=1", "reads b0[0:8], which is not written"},
      // b1 and b3 share a place: writing b3 takes b1.
      {23, "op add a=b0 b=b0 out=b3 scale=1\nop attention q=b1[0:8] out=b2 group=1 layer=1 heads=2 scale=1 softcap=0", "reads b1[0:8]"},
      {25, "op gated_linear in=b3 out=b3 gate=w2 up=w2 act=silu", "reads b3[0:8]"},
      {20, "op rope in=b1[0:8] out=b1[4:12] rope=r0 heads=2", "writes b1[4:12] over its input b1[0:8]"},
      {24, "op linear in=b2 out=b2 weights=w2", "writes b2[0:8] over its input b2[0:8]"},
      {23, "op attention q=b1[0:8] out=b1[0:8] group=1 layer=1 heads=2 scale=1 softcap=0", "over its input"},
      {23, "op attention q=b1[0:8] out=b3 group=1 layer=1 heads=2 scale=1 softcap=0", "writes b3[0:8] in the place of its input b1[0:8]"},
      {29, "op act_mul gate=b0 up=b3 out=b3 act=silu", "over its input b3[0:8]"},
      {22, "op kv_write k=b1[8:12] v=b1[12:16] group=1 layer=1\nop kv_write k=b1[8:12] v=b1[12:16] group=1 layer=1", "is written twice"},
      {32, "op softcap in=b5[0:39] out=b5[0:39] cap=30\nop linear in=b4 out=b5[0:40] weights=w9", "w9"},
      {31, "op linear in=b4 out=b5[0:8] weights=w2", "reads b5[0:40]"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> lines = kGood;
    lines[static_cast<size_t>(c.line - 1)] = c.text;
    CHECK_ERROR("invalid_plan", c.message, parsePlan(join(lines)));
  }
}

TEST(parserSurvivesEveryCutAndEveryByte) {
  const std::string text = join(kGood);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string cut = text.substr(0, i), changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x15);
    for (const std::string& broken : {cut, changed}) {
      try {
        parsePlan(broken);
      } catch (const Error& error) {
        CHECK_EQ(error.code, "invalid_plan");
      }
    }
  }
}

}  // namespace
}  // namespace mistralrs
