//! What a line means, as an embedding model says it: for finding a fact by other words than those in which it was said.

/// Numbers of an embedding: those of all-MiniLM-L6-v2.
pub const WIDTH: usize = 384;

/// Below this likeness (cosine) two lines have nothing to do with each other. With all-MiniLM-L6-v2, questions that a fact bears on
/// had 0.15 to 0.47 with it (five of eight 0.3 and more), questions of another matter 0.00 to 0.11 (`judge/tests/shipped.rs` prints them).
pub const RELATED: f32 = 0.22;

/// An embedding of length 1 in signed bytes, which costs less than one hundredth of likeness.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Meaning([i8; WIDTH]);

impl std::fmt::Debug for Meaning {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Meaning({}, {}, ..)", self.0[0], self.0[1])
    }
}

impl Meaning {
    /// Of an embedding of any length but zero; `None` where it has another width, or is no number.
    pub fn of(embedding: &[f32]) -> Option<Self> {
        let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
        if embedding.len() != WIDTH || !length.is_finite() || length < 1e-6 {
            return None;
        }
        let mut bytes = [0; WIDTH];
        for (byte, x) in bytes.iter_mut().zip(embedding) {
            *byte = (x / length * 127.0).round().clamp(-127.0, 127.0) as i8;
        }
        Some(Self(bytes))
    }

    /// As it is kept.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte.cast_unsigned()).collect()
    }

    /// As it was kept; `None` where it is no embedding of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; WIDTH] = bytes.try_into().ok()?;
        Some(Self(bytes.map(u8::cast_signed)))
    }

    /// The cosine between the two, about -1.0..=1.0.
    pub fn likeness(&self, other: &Self) -> f32 {
        let dot: i32 = self.0.iter().zip(&other.0).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        dot as f32 / (127.0 * 127.0)
    }
}

/// The facts that are most like `wanted`, the most like first: at most `most`, none below [`RELATED`].
pub fn nearest(wanted: &Meaning, known: &[(i64, Meaning)], most: usize) -> Vec<i64> {
    let mut near: Vec<(i64, f32)> = known
        .iter()
        .map(|(fact, meaning)| (*fact, wanted.likeness(meaning)))
        .filter(|(_, like)| *like >= RELATED)
        .collect();
    near.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    near.truncate(most);
    near.into_iter().map(|(fact, _)| fact).collect()
}

/// Two rankings made one: what stands high in either, and higher what stands in both (reciprocal rank fusion, Cormack, Clarke and
/// Büttcher, SIGIR 2009, with their constant).
pub fn fused<T: PartialEq + Clone>(one: &[T], other: &[T]) -> Vec<T> {
    const DAMPS: f32 = 60.0;
    let score =
        |ranked: &[T], item: &T| ranked.iter().position(|x| x == item).map_or(0.0, |at| 1.0 / (DAMPS + at as f32));
    let mut all: Vec<(T, f32)> = Vec::new();
    for item in one.iter().chain(other) {
        if !all.iter().any(|(known, _)| known == item) {
            all.push((item.clone(), score(one, item) + score(other, item)));
        }
    }
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.into_iter().map(|(item, _)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn along(axis: usize, lean: f32) -> Meaning {
        let mut embedding = [0.0; WIDTH];
        embedding[axis] = 3.0;
        embedding[axis + 1] = lean;
        Meaning::of(&embedding).expect("an embedding")
    }

    #[test]
    fn likeness_survives_the_bytes_and_the_disk() {
        let (a, b) = (along(0, 0.0), along(0, 3.0));
        assert!((a.likeness(&a) - 1.0).abs() < 0.01 && (a.likeness(&b) - 0.707).abs() < 0.01);
        assert!(a.likeness(&along(7, 0.0)).abs() < 0.01);
        assert_eq!(Meaning::from_bytes(&b.bytes()), Some(b));
        assert_eq!(Meaning::from_bytes(&[0; 5]), None);
        for bad in [vec![0.0; WIDTH], vec![f32::NAN; WIDTH], vec![1.0; 3]] {
            assert_eq!(Meaning::of(&bad), None);
        }
    }

    #[test]
    fn the_nearest_come_first_and_strangers_never() {
        let known = [(1, along(7, 0.0)), (2, along(0, 3.0)), (3, along(0, 0.5))];
        assert_eq!(nearest(&along(0, 0.0), &known, 8), [3, 2]);
        assert_eq!(nearest(&along(0, 0.0), &known, 1), [3]);
    }

    #[test]
    fn what_both_rankings_have_stands_first() {
        assert_eq!(fused(&["a", "b", "c"], &["c", "d"]), ["c", "a", "b", "d"]);
        assert_eq!(fused::<u8>(&[], &[]), [0u8; 0]);
    }
}
